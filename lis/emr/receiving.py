"""What an EMR sends: orders go to `orders_in`, news of people to `adt_in`; everything else is refused by name there."""

from datetime import tzinfo

from lis.domain.catalog import Catalog
from lis.emr.adt_in import receive_adt
from lis.emr.orders_in import receive_order
from lis.emr.replying import Reply
from lis.store.unit import Unit
from lis.wire.errors import ProtocolError
from lis.wire.hl7 import Message


def receive_message(
    unit: Unit,
    catalog: Catalog,
    raw: bytes,
    *,
    emr: str,
    site_id: int,
    inbox_id: int,
    zone: tzinfo,
    accepts_test_traffic: bool = False,
) -> Reply:
    """Carry out one message of an EMR and say what to answer. Raises nothing for any bytes."""
    receive = receive_adt if _is_adt(raw) else receive_order
    return receive(
        unit,
        catalog,
        raw,
        emr=emr,
        site_id=site_id,
        inbox_id=inbox_id,
        zone=zone,
        accepts_test_traffic=accepts_test_traffic,
    )


def _is_adt(raw: bytes) -> bool:
    try:
        return Message.parse(raw).code == "ADT"
    except ProtocolError:
        return False
