"""S16: a number is a tube's only when it was read from the barcode of one tube."""

from datetime import timedelta

import pytest

from lis.domain.errors import Refused
from lis.domain.lifecycle import BenchState
from lis.domain.messages import IdReadMode
from lis.results.binding import confirm_match
from lis.results.desk import Shown
from lis.results.reads import row as read_row
from lis.store.order_rows import Specimen
from lis.store.traffic_rows import Alarm


def tube_reasons(row):
    """Why a row waits, without what follows from its having no patient."""
    return [reason for reason in row.holds if reason != "no_interval"]


def confirm(laboratory, row, accession):
    """A person names the tube, with the patient's birth date."""
    with laboratory.store.unit("anna") as unit:
        catalog = laboratory.catalog()
        seen = read_row(unit.session, catalog, row.id)
        shown = Shown(observation_id=row.id, version=seen["row_version"], hash=seen["shown_hash"])
        return confirm_match(
            unit,
            catalog,
            shown,
            accession=accession,
            second_identifier="1980-05-01",
            user="anna",
        )


@pytest.mark.parametrize("mode", [IdReadMode.TYPED, IdReadMode.POSITION, IdReadMode.UNSTATED])
def test_S16_a_number_that_was_not_read_from_the_barcode_waits_for_confirmation(
    laboratory, observation, mode
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", read_mode=mode))
    held = laboratory.one()
    assert (tube_reasons(held), held.patient_id) == (["id_not_from_barcode"], None)

    bound = confirm(laboratory, held, tube)

    assert bound["patient"] is not None
    assert "id_not_from_barcode" not in [hold["code"] for hold in bound["holds"]]


def test_S16_a_number_the_instrument_made_up_never_meets_an_accession(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", read_mode=IdReadMode.AUTOMATIC))

    row = laboratory.one()
    assert tube_reasons(row) == ["automatic_number", "id_not_from_barcode"]
    assert (row.specimen_id, row.patient_id, row.lane) == (None, None, "unmatched")


def test_S16_a_made_up_number_cannot_be_copied_from_the_screen_as_the_tubes(
    laboratory, observation
):
    tube, other = laboratory.order("CREA"), laboratory.order("CREA")
    laboratory.send(observation(tube, "70", read_mode=IdReadMode.AUTOMATIC))

    with pytest.raises(Refused, match="made_up_number"):
        confirm(laboratory, laboratory.one(), tube)

    assert confirm(laboratory, laboratory.one(), other)["specimen"]["accession"] == other


def test_S16_one_number_on_two_positions_of_one_message_is_held_and_alarmed(
    laboratory, observation
):
    laboratory.controls("CREA", "GLU")
    tube = laboratory.order("CREA", "GLU")
    laboratory.send(
        observation(tube, "70", position="1"), observation(tube, "80", "GLU", position="2")
    )

    assert all(tube_reasons(row) == ["number_seen_twice"] for row in laboratory.rows())
    assert all(row.patient_id is None for row in laboratory.rows())
    assert [alarm.kind for alarm in laboratory.all(Alarm)] == ["number_seen_twice"]


def test_S16_one_number_on_another_position_later_holds_what_still_waits(laboratory, observation):
    laboratory.controls("UREA", "CREA")
    tube = laboratory.order("UREA", "CREA")
    laboratory.send(observation(tube, "70", "UREA", position="1"))
    assert laboratory.one().holds == ["automatic_off"]
    laboratory.send(observation(tube, "70", position="2"))

    first, second = laboratory.rows()
    assert first.holds == ["automatic_off", "number_seen_twice"]
    assert (tube_reasons(second), second.patient_id) == (["number_seen_twice"], None)
    assert first.lane == "hold"  # no longer clear: it is not verified in bulk


def test_S16_the_same_position_and_an_untold_one_say_nothing(laboratory, observation):
    laboratory.controls("CREA", "GLU", "UREA")
    tube = laboratory.order("CREA", "GLU", "UREA")
    laboratory.send(observation(tube, "70", position="1"))
    laboratory.send(observation(tube, "80", "GLU", position="1"))
    laboratory.send(observation(tube, "80", "UREA"))

    assert [row.holds for row in laboratory.rows()] == [[], [], ["automatic_off"]]


def test_S16_a_person_confirms_the_tube_that_was_seen_twice(laboratory, observation):
    laboratory.controls("CREA", "GLU")
    tube = laboratory.order("CREA", "GLU")
    laboratory.send(observation(tube, "70", position="1"))
    laboratory.send(observation(tube, "80", "GLU", position="2"))
    first, second = laboratory.rows()
    assert first.bench_state is BenchState.RELEASED  # it was out before the second one came

    assert confirm(laboratory, second, tube)["holds"] == []


def test_S16_a_number_that_came_to_reception_twice_waits_for_confirmation(
    laboratory, observation, t0
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA", received_again_at=t0 - timedelta(minutes=6))
    laboratory.send(observation(tube, "70"))
    row = laboratory.one()
    assert (tube_reasons(row), row.patient_id) == (["number_seen_twice"], None)

    assert confirm(laboratory, row, tube)["patient"] is not None
    assert laboratory.all(Specimen)[0].received_again_at is not None  # what happened stays written
