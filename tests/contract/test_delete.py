"""Delete: it always finds its way, and never to what is somebody else's."""

import pytest

from local.appfabric import Fault
from tests.conftest import Logs
from tests.support.custom_resource import CustomResource
from tests.support.properties import BUNDLE, INGESTION, OTHER_INGESTION, properties

NEVER_MADE = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999999"
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"


def test_the_destination_is_deleted_by_what_its_arn_says(resource: CustomResource) -> None:
    made = resource.create()
    resource.forget_calls()
    # the properties are those of another ingestion by now, and not valid either
    response = resource.delete(made.id, {"IngestionIdentifier": OTHER_INGESTION, "Typo": "x"})
    assert (response.status, response.id, response.data) == ("SUCCESS", made.id, {})
    (call,) = resource.calls("DeleteIngestionDestination")
    assert resource.mutations() == [call.operation]
    assert call.parameters == {
        "appBundleIdentifier": BUNDLE,
        "ingestionIdentifier": INGESTION,
        "ingestionDestinationIdentifier": made.id,
    }
    assert response.seconds < 5


def test_deleted_twice_is_deleted(resource: CustomResource) -> None:
    made = resource.create()
    assert resource.delete(made.id).status == "SUCCESS"
    assert resource.delete(made.id).status == "SUCCESS"


@pytest.mark.parametrize("gone", [BUNDLE[-36:], INGESTION[-36:]])
def test_with_its_parents_it_is_gone(resource: CustomResource, gone: str) -> None:
    made = resource.create()
    resource.appfabric.missing.add(gone)
    assert resource.delete(made.id).status == "SUCCESS"


def test_a_validation_exception_for_a_destination_that_is_gone_is_success(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ValidationException"))
    assert resource.delete(NEVER_MADE).status == "SUCCESS"


def test_a_validation_exception_for_a_destination_that_stands_is_reported(resource: CustomResource) -> None:
    made = resource.create()
    resource.appfabric.inject(
        Fault(operation="DeleteIngestionDestination", error="ValidationException", message="Not now")
    )
    response = resource.delete(made.id)
    assert (response.status, response.id) == ("FAILED", made.id)
    assert response.reason.startswith("ValidationException: Not now")


def test_a_refusal_is_reported_with_the_id(resource: CustomResource) -> None:
    made = resource.create()
    resource.time.sleep(61)
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="AccessDeniedException"))
    response = resource.delete(made.id)
    assert (response.status, response.id) == ("FAILED", made.id)
    assert response.reason.startswith("AccessDeniedException: ")


def test_throttles_are_ridden_out(resource: CustomResource) -> None:
    made = resource.create()
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ThrottlingException", times=9))
    assert resource.delete(made.id).status == "SUCCESS"


def test_a_throttle_without_end_is_reported_in_time(impatient: CustomResource) -> None:
    made = impatient.create()
    impatient.appfabric.inject(Fault(error="ThrottlingException", times=9999))
    response = impatient.delete(made.id)
    assert (response.status, response.id) == ("FAILED", made.id)
    assert response.reason.startswith("ThrottlingException: ")


def test_what_was_not_created_needs_no_call(resource: CustomResource) -> None:
    assert resource.delete("not-created:7f3c").status == "SUCCESS"
    assert not resource.calls()


def test_what_was_not_created_needs_no_client(resource: CustomResource) -> None:
    resource.provider = type(resource.provider)(
        client=lambda: 1 / 0,
        delivery=resource.mailbox,
        clock=resource.time.as_clock(),
        started=0,
    )
    assert resource.delete("not-created:7f3c").status == "SUCCESS"
    assert resource.create().reason.startswith("InternalFailure: ")


@pytest.mark.parametrize(
    "foreign",
    [
        "audit-logs_Destination_ABCDEFGH",
        "2026/11/22/[$LATEST]0123456789abcdef",
        "arn:aws:s3:::audit-logs",
        "arn:aws:appfabric:us-east-1:111122223333:appbundle/../../etc",
        NEVER_MADE.replace("us-east-1", "eu-west-1"),
        f"{NEVER_MADE}/more",
    ],
)
def test_a_foreign_id_touches_nothing(resource: CustomResource, foreign: str) -> None:
    others = CustomResource(logical_id="Other")
    others.appfabric = resource.appfabric
    others.cold_start()
    kept = others.create()
    resource.place(NEVER_MADE)
    response = resource.delete(foreign)
    assert (response.status, response.id) == ("SUCCESS", foreign)
    assert set(resource.appfabric.destinations) == {kept.id, NEVER_MADE}
    assert [call.operation for call in resource.calls()] == ["CreateIngestionDestination"]


@pytest.mark.parametrize("id", [MADE_UP, "audit-Destin-1A2B3C4D5E6F", "unconfirmed"])
def test_what_a_create_left_is_found_by_its_owner_alone(resource: CustomResource, id: str) -> None:
    resource.appfabric.page_size = 1
    others = CustomResource(logical_id="Destinatio")
    others.appfabric = resource.appfabric
    others.cold_start()
    kept = others.create()
    event = resource.event("Create")
    left = resource.send(event)
    id = id if id == MADE_UP or "-" in id else f"{id}:{event['RequestId']}"
    assert resource.delete(id).status == "SUCCESS"
    assert left.id not in resource.appfabric.destinations
    assert kept.id in resource.appfabric.destinations


def test_what_a_create_makes_while_its_delete_looks_is_found(resource: CustomResource) -> None:
    def create_at_last(_call: object) -> None:
        if len(resource.calls()) == 6:
            resource.place(NEVER_MADE, tags=resource.ownership_tags("7f3c", requested_at=resource.time.began))

    resource.appfabric.subscribe(create_at_last)
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert not resource.appfabric.destinations
    assert response.seconds > 10


def test_a_create_that_never_comes_is_looked_for_until_none_can_be_running(resource: CustomResource) -> None:
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert response.seconds == pytest.approx(275)
    assert len(resource.calls("ListIngestionDestinations")) < 50


@pytest.mark.parametrize("physical_id", [MADE_UP, "unconfirmed:7f3c"])
def test_a_look_that_finds_nothing_succeeds_within_any_limit(impatient: CustomResource, physical_id: str) -> None:
    response = impatient.delete(physical_id)
    assert response.status == "SUCCESS"
    assert 5 < response.seconds < 10


def test_the_search_is_shorter_when_the_service_timeout_is(resource: CustomResource) -> None:
    response = resource.delete(MADE_UP, properties(ServiceTimeout="90"))
    assert response.status == "SUCCESS"
    assert response.seconds == pytest.approx(50)


def test_an_older_destination_of_this_resource_is_left_and_reported(resource: CustomResource, logs: Logs) -> None:
    retained = resource.create()
    resource.time.sleep(3 * 3600 + 1)
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert retained.id in resource.appfabric.destinations
    assert logs.counted("PossibleOrphans") == 1
    (line,) = logs.errors()
    assert line["arn"] == retained.id


def test_without_parents_there_is_nothing_to_look_for(resource: CustomResource) -> None:
    assert resource.delete(MADE_UP, {"AppBundleIdentifier": "x"}).status == "SUCCESS"
    assert not resource.calls()


def test_with_the_ingestion_gone_nothing_was_left(resource: CustomResource) -> None:
    resource.create()
    resource.appfabric.missing.add(INGESTION[-36:])
    assert resource.delete(MADE_UP).status == "SUCCESS"


def test_everything_that_a_create_left_is_found_on_every_page(resource: CustomResource) -> None:
    resource.appfabric.page_size = 1
    for number in range(3):
        resource.place(NEVER_MADE[:-1] + str(number), tags=resource.ownership_tags("7f3c"))
    assert resource.delete(MADE_UP).status == "SUCCESS"
    assert not resource.appfabric.destinations
