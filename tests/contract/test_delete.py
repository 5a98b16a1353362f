"""Delete: it finds what is this resource's, and never deletes what is not."""

import pytest

from ingestion_destination.cloudformation.delivery import Undelivered
from local.appfabric import Fault
from tests.conftest import Logs
from tests.support.custom_resource import Context, CustomResource
from tests.support.properties import BUNDLE, INGESTION, OTHER_INGESTION, properties

NEVER_CREATED = f"{INGESTION}/ingestiondestination/99999999-9999-4999-8999-999999999999"
MADE_UP = "audit-logs-Destination-1A2B3C4D5E6F"


def test_the_destination_is_deleted_by_its_arn_alone(resource: CustomResource) -> None:
    created = resource.create()
    resource.forget_calls()
    # The properties name another ingestion by now, and are invalid.
    response = resource.delete(created.id, {"IngestionIdentifier": OTHER_INGESTION, "Typo": "x"})
    assert (response.status, response.id, response.data) == ("SUCCESS", created.id, {})
    (call,) = resource.calls("DeleteIngestionDestination")
    assert resource.mutations() == [call.operation]
    assert call.parameters == {
        "appBundleIdentifier": BUNDLE,
        "ingestionIdentifier": INGESTION,
        "ingestionDestinationIdentifier": created.id,
    }
    assert response.seconds < 5


def test_a_second_delete_succeeds(resource: CustomResource) -> None:
    created = resource.create()
    assert resource.delete(created.id).status == "SUCCESS"
    again = resource.delete(created.id)
    assert again.status == "SUCCESS"
    assert again.seconds < 5  # one wait, to read again


@pytest.mark.parametrize("gone", [BUNDLE[-36:], INGESTION[-36:]])
def test_a_missing_app_bundle_or_ingestion_means_deleted(resource: CustomResource, gone: str) -> None:
    created = resource.create()
    resource.appfabric.missing.add(gone)
    assert resource.delete(created.id).status == "SUCCESS"


def test_a_validation_exception_for_a_deleted_destination_is_success(resource: CustomResource) -> None:
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ValidationException"))
    assert resource.delete(NEVER_CREATED).status == "SUCCESS"


def test_a_validation_exception_for_everything_in_a_deleted_ingestion_is_success(resource: CustomResource) -> None:
    created = resource.create()
    resource.appfabric.destinations.clear()
    for operation in ("ListTagsForResource", "GetIngestionDestination", "DeleteIngestionDestination"):
        resource.appfabric.inject(Fault(operation=operation, error="ValidationException", times=99))
    resource.appfabric.inject(Fault(operation="ListIngestionDestinations", error="ValidationException", times=99))
    assert resource.delete(created.id).status == "SUCCESS"


def test_a_validation_exception_for_an_existing_destination_is_reported(resource: CustomResource) -> None:
    created = resource.create()
    resource.appfabric.inject(
        Fault(operation="DeleteIngestionDestination", error="ValidationException", message="Not now")
    )
    response = resource.delete(created.id)
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith("ValidationException: Not now")


def test_a_rejected_delete_is_reported_with_the_id(resource: CustomResource) -> None:
    created = resource.create()
    resource.time.sleep(61)
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="AccessDeniedException"))
    response = resource.delete(created.id)
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith("AccessDeniedException: ")


def test_throttling_is_retried(resource: CustomResource) -> None:
    created = resource.create()
    resource.appfabric.inject(Fault(operation="DeleteIngestionDestination", error="ThrottlingException", times=9))
    assert resource.delete(created.id).status == "SUCCESS"


def test_persistent_throttling_is_reported_before_the_timeout(impatient: CustomResource) -> None:
    created = impatient.create()
    impatient.appfabric.inject(Fault(error="ThrottlingException", times=9999))
    response = impatient.delete(created.id)
    assert (response.status, response.id) == ("FAILED", created.id)
    assert response.reason.startswith("ThrottlingException: ")


def test_deleting_a_not_created_id_makes_no_call(resource: CustomResource) -> None:
    assert resource.delete("not-created:7f3c").status == "SUCCESS"
    assert not resource.calls()


def test_deleting_a_not_created_id_needs_no_client(resource: CustomResource) -> None:
    resource.provider = type(resource.provider)(
        client=lambda: 1 / 0,
        delivery=resource.mailbox,
        clock=resource.time.as_clock(),
        started=0,
    )
    created = resource.create()
    assert created.reason.startswith("InternalFailure: ")
    assert created.id.startswith("not-created:")
    assert resource.delete(created.id).status == "SUCCESS"


@pytest.mark.parametrize(
    "unknown",
    [
        "audit-logs_Destination_ABCDEFGH",
        "2026/11/22/[$LATEST]0123456789abcdef",
        "arn:aws:s3:::audit-logs",
        "arn:aws:appfabric:us-east-1:111122223333:appbundle/../../etc",
        NEVER_CREATED.replace("us-east-1", "eu-west-1"),
        f"{NEVER_CREATED}/more",
    ],
)
def test_deleting_an_unknown_id_deletes_nothing(resource: CustomResource, unknown: str) -> None:
    others = CustomResource(logical_id="Other")
    others.appfabric = resource.appfabric
    others.cold_start()
    kept = others.create()
    resource.place(NEVER_CREATED)
    response = resource.delete(unknown)
    assert (response.status, response.id) == ("SUCCESS", unknown)
    assert set(resource.appfabric.destinations) == {kept.id, NEVER_CREATED}
    assert [call.operation for call in resource.calls()] == ["CreateIngestionDestination"]


@pytest.mark.parametrize("id", [MADE_UP, "audit-Destin-1A2B3C4D5E6F", "unconfirmed"])
def test_an_orphan_of_this_resource_is_deleted_and_others_are_not(resource: CustomResource, id: str) -> None:
    resource.appfabric.page_size = 1
    others = CustomResource(logical_id="Destinatio")
    others.appfabric = resource.appfabric
    others.cold_start()
    kept = others.create()
    event = resource.event("Create")
    orphan = resource.send(event)
    id = id if id == MADE_UP or "-" in id else f"{id}:{event['RequestId']}"
    assert resource.delete(id).status == "SUCCESS"
    assert orphan.id not in resource.appfabric.destinations
    assert kept.id in resource.appfabric.destinations


def test_a_destination_created_during_the_search_is_found(resource: CustomResource) -> None:
    def create_at_last(_call: object) -> None:
        if len(resource.calls()) == 6:
            resource.place(NEVER_CREATED, tags=resource.ownership_tags("7f3c", requested_at=resource.time.began))

    resource.appfabric.subscribe(create_at_last)
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert not resource.appfabric.destinations
    assert response.seconds > 10


def test_the_search_lasts_until_no_create_can_be_running(resource: CustomResource) -> None:
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert response.seconds == pytest.approx(275)
    assert len(resource.calls("ListIngestionDestinations")) < 50


@pytest.mark.parametrize("physical_id", [MADE_UP, "unconfirmed:7f3c"])
def test_a_search_that_finds_nothing_succeeds_within_a_short_timeout(
    impatient: CustomResource, physical_id: str
) -> None:
    response = impatient.delete(physical_id)
    assert response.status == "SUCCESS"
    assert 5 < response.seconds < 10


def test_a_short_service_timeout_shortens_the_search(resource: CustomResource) -> None:
    response = resource.delete(MADE_UP, properties(ServiceTimeout="90"))
    assert response.status == "SUCCESS"
    assert response.seconds == pytest.approx(50)


def test_an_older_destination_of_this_resource_is_reported_and_not_deleted(
    resource: CustomResource, logs: Logs
) -> None:
    retained = resource.create()
    resource.time.sleep(3 * 3600 + 1)
    response = resource.delete(MADE_UP)
    assert response.status == "SUCCESS"
    assert retained.id in resource.appfabric.destinations
    assert logs.counted("PossibleOrphans") == 1
    (line,) = logs.errors()
    assert line["arn"] == retained.id


def test_what_differs_in_its_tags_alone_is_reported_however_old(resource: CustomResource, logs: Logs) -> None:
    """The Delete comes with the properties of an update that failed."""
    left = resource.create()
    resource.time.sleep(4 * 3600)
    assert resource.delete(MADE_UP, properties(Tags=[{"Key": "a", "Value": "1"}])).status == "SUCCESS"
    (line,) = logs.errors()
    assert line["arn"] == left.id


@pytest.mark.parametrize("id", [MADE_UP, "unconfirmed:7f3c"])
def test_with_invalid_properties_nothing_is_searched_for(resource: CustomResource, id: str, logs: Logs) -> None:
    """They may be those of an update that failed since: what the Create left is not known then."""
    assert resource.delete(id, {"AppBundleIdentifier": "x"}).status == "SUCCESS"
    assert not resource.calls()
    assert logs.counted("PossibleOrphans") == 1


@pytest.mark.parametrize("sent", ["tried", "in effect"])
@pytest.mark.parametrize("names_its_create", [True, False])
def test_what_a_create_left_is_found_though_an_update_would_adopt_another(
    resource: CustomResource, sent: str, names_its_create: bool
) -> None:
    """The Create's responses were lost; an update of its id fails, and its properties may come with the Delete."""
    event = resource.event("Create")
    resource.mailbox.refuse.append(Undelivered("TimeoutError"))
    with pytest.raises(Undelivered):
        resource.provider(event, Context(resource.time, 300))
    id = f"unconfirmed:{event['RequestId']}" if names_its_create else MADE_UP
    resource.time.sleep(720)
    adopts = properties(AdoptArn=NEVER_CREATED)
    assert resource.update(id, adopts, properties()).status == "FAILED"
    resource.time.sleep(60)
    assert resource.delete(id, adopts if sent == "tried" else properties()).status == "SUCCESS"
    assert not resource.appfabric.destinations


def test_a_search_in_a_missing_ingestion_succeeds(resource: CustomResource) -> None:
    resource.create()
    resource.appfabric.missing.add(INGESTION[-36:])
    assert resource.delete(MADE_UP).status == "SUCCESS"


def test_orphans_are_found_on_every_page(resource: CustomResource) -> None:
    resource.appfabric.page_size = 1
    for number in range(3):
        resource.place(NEVER_CREATED[:-1] + str(number), tags=resource.ownership_tags("7f3c"))
    assert resource.delete(MADE_UP).status == "SUCCESS"
    assert not resource.appfabric.destinations
