"""Promise 3: what was held because nobody knew its code is judged when the code is mapped; on both stores."""

from lis.domain.catalog_mapping import CodeMapping, with_mappings
from lis.domain.lifecycle import BenchState, WorkOrderState
from lis.domain.messages import Reason
from lis.results.rejudging import judge_mapped_codes
from lis.store.code_queries import catalog_document
from lis.store.definitions import DefinitionKind, catalog_in_force, put_definition
from lis.store.order_rows import WorkOrder
from tests.results.conftest import DRIVER


def mapped(laboratory, code="iX99", test="CREA", unit_text="umol/L"):
    """Say what the code stands for, and judge what waits; how many were judged."""
    with laboratory.store.unit("anna") as unit:
        entry = CodeMapping(driver=DRIVER, code=code, test=test, unit=unit_text)
        body = with_mappings(catalog_document(unit.session, unit.now), [entry], "v2")
        put_definition(unit, DefinitionKind.CATALOG, "v2", body, unit.now, "boris")
        catalog = catalog_in_force(unit.session, unit.now)
        return judge_mapped_codes(unit, catalog, laboratory.device_id, [code], user="anna")


def test_promise_3_a_value_of_an_unknown_code_is_judged_in_full_once_the_code_is_mapped(
    laboratory, observation
):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "30", "X99"))
    held = laboratory.one()
    assert Reason.UNKNOWN_TEST.value in held.holds
    unit_text = held.reported_unit
    assert mapped(laboratory, unit_text=unit_text) == 1
    old, new = laboratory.rows()
    assert (old.bench_state, old.test_code) == (BenchState.SUPERSEDED, "")
    assert (new.version, new.previous_id) == (2, old.id)
    assert (new.test_code, new.reported, new.flag) == ("CREA", "30", "L")
    assert Reason.UNKNOWN_TEST.value not in new.holds
    (order,) = laboratory.all(WorkOrder)
    assert order.state is WorkOrderState.RESULTED


def test_what_once_was_held_never_leaves_by_itself(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", "X99"))
    mapped(laboratory, unit_text=laboratory.one().reported_unit)
    new = laboratory.rows()[1]
    assert (new.bench_state, laboratory.outbox()) == (BenchState.HELD, [])


def test_a_missing_control_of_the_new_test_holds_it(laboratory, observation):
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", "X99"))
    mapped(laboratory, unit_text=laboratory.one().reported_unit)
    assert Reason.QC_MISSING.value in laboratory.rows()[1].holds


def test_another_unit_than_the_mapping_names_is_held(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", "X99", unit="mg/dL"))
    mapped(laboratory, unit_text="umol/L")
    assert Reason.UNIT_CHANGED.value in laboratory.rows()[1].holds


def test_a_value_without_a_tube_stays_for_the_person_who_binds_it(laboratory, observation):
    laboratory.send(observation("T000777", "70", "X99"))
    assert mapped(laboratory) == 0
    assert laboratory.one().bench_state is BenchState.HELD


def test_mapping_twice_changes_nothing_more(laboratory, observation):
    laboratory.controls("CREA")
    tube = laboratory.order("CREA")
    laboratory.send(observation(tube, "70", "X99"))
    mapped(laboratory, unit_text=laboratory.one().reported_unit)
    with laboratory.store.unit("anna") as unit:
        catalog = catalog_in_force(unit.session, unit.now)
        again = judge_mapped_codes(unit, catalog, laboratory.device_id, ["iX99"], user="anna")
    assert (again, len(laboratory.rows())) == (0, 2)
