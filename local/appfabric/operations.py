"""The operations, named as boto3 names them: each takes an account and validated parameters, and returns the output."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from local.appfabric.account import Account, Page, Parameters
from local.appfabric.destinations import Destination
from local.appfabric.errors import ServiceError, invalid, not_found
from local.appfabric.model import service_model

# https://docs.aws.amazon.com/general/latest/gr/appfabric.html: for each ingestion, not adjustable.
DESTINATIONS_PER_INGESTION = 5
_INGESTIONS_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_TOKEN_LIFETIME = timedelta(hours=24)  # the model, of nextToken
# The model says so of one request; of a resource it is AWS's general rule.
TAGS_PER_RESOURCE = service_model().shape_for("TagList").metadata["max"]


def create_ingestion_destination(account: Account, request: Parameters) -> Parameters:
    """Create a destination, or return the one that the same `clientToken` created before."""
    ingestion = account.ingestion(request)
    if ingestion is None:
        # As seen by third parties for an ingestion; that a missing app bundle gives the same is a guess.
        raise invalid("The specified ingestion does not exist")
    _check_format(request["processingConfiguration"], request["destinationConfiguration"])
    tags = _merged({}, request.get("tags", []))
    token = request.get("clientToken", "")
    wanted = {name: value for name, value in request.items() if name != "clientToken"}
    wanted_before, arn = account.created_by.get(token, ({}, ""))
    # Guess: a token whose destination was deleted since creates a new one.
    if arn in account.destinations:
        if wanted != wanted_before:
            # `clientToken`'s description names this code; it is not modeled, and its status is a guess.
            raise ServiceError("IdempotentParameterMismatch", "clientToken was used with other parameters")
        return {"ingestionDestination": account.destinations[arn].described()}
    if len(account.in_ingestion(request)) >= DESTINATIONS_PER_INGESTION:
        members = {"resourceId": ingestion.ingestion_arn, "resourceType": "Ingestion"}
        raise ServiceError("ServiceQuotaExceededException", members=members)
    created_at = account.now()
    created = Destination(
        arn=str(replace(ingestion, destination=account.new_id())),
        processing=request["processingConfiguration"],
        destination=request["destinationConfiguration"],
        tags=tags,
        created_at=created_at,
        updated_at=created_at,
    )
    _become(account, created, "CreateIngestionDestination")
    account.destinations[created.arn] = created
    if token:
        account.created_by[token] = (wanted, created.arn)
    return {"ingestionDestination": created.described()}


def get_ingestion_destination(account: Account, request: Parameters) -> Parameters:
    """Describe a destination."""
    destination = account.find(request, even_deleted=True)
    if destination.hidden_gets:
        destination.hidden_gets -= 1
        raise not_found(request["ingestionDestinationIdentifier"])
    described = destination.described()
    destination.pending_gets = max(0, destination.pending_gets - 1)
    if account.is_lingering(destination):
        destination.lingering_gets -= 1
        account.remove(destination)
    return {"ingestionDestination": described}


def update_ingestion_destination(account: Account, request: Parameters) -> Parameters:
    """Replace the destination configuration; that all of it is replaced, the prefix too, is a guess."""
    destination = account.find(request)
    _check_format(destination.processing, request["destinationConfiguration"])
    destination.destination = request["destinationConfiguration"]
    destination.updated_at = account.now()
    _become(account, destination, "UpdateIngestionDestination")
    return {"ingestionDestination": destination.described()}


def delete_ingestion_destination(account: Account, request: Parameters) -> Parameters:
    """Delete a destination; its ingestion is disabled if it is enabled, as the service model says."""
    destination = account.find(request)
    _become(account, destination, "DeleteIngestionDestination")
    account.remove(destination)
    account.enabled.discard(destination.path.ingestion_arn)
    return {}


def list_app_bundles(account: Account, request: Parameters) -> Parameters:
    """List the app bundles that destinations are in. Every well-formed one exists, but not all can be listed."""
    arns = sorted({destination.path.bundle_arn for destination in account.destinations.values()})
    page, next_token = _page(account, request, "app bundles", arns)
    return {"appBundleSummaryList": [{"arn": arn} for arn in page], "nextToken": next_token}


def list_ingestions(account: Account, request: Parameters) -> Parameters:
    """List the ingestions of an app bundle that destinations are in; `app` and `tenantId` are invented."""
    bundle = request["appBundleIdentifier"]
    paths = [destination.path for destination in account.destinations.values()]
    arns = sorted({path.ingestion_arn for path in paths if bundle in (path.bundle, path.bundle_arn)})
    page, next_token = _page(account, request, bundle, arns)
    return {"ingestions": [_ingestion(account, arn) for arn in page], "nextToken": next_token}


def get_ingestion(account: Account, request: Parameters) -> Parameters:
    """Describe an ingestion; all but its ARNs and its state is invented."""
    return {"ingestion": _ingestion(account, _ingestion_arn(account, request))}


def start_ingestion(account: Account, request: Parameters) -> Parameters:
    """Enable an ingestion; that it is enabled already is no error, which is a guess."""
    account.enabled.add(_ingestion_arn(account, request))
    return {}


def stop_ingestion(account: Account, request: Parameters) -> Parameters:
    """Disable an ingestion; that it is disabled already is no error, which is a guess."""
    account.enabled.discard(_ingestion_arn(account, request))
    return {}


def list_ingestion_destinations(account: Account, request: Parameters) -> Parameters:
    """List the ARNs of an ingestion's destinations, in pages; their order is a guess."""
    ingestion_arn = _ingestion_arn(account, request)
    arns = sorted(destination.arn for destination in account.in_ingestion(request))
    page, next_token = _page(account, request, ingestion_arn, arns)
    return {"ingestionDestinations": [{"arn": arn} for arn in page], "nextToken": next_token}


def tag_resource(account: Account, request: Parameters) -> Parameters:
    """Put tags on a destination, over those with the same keys."""
    destination = account.tagged(request)
    destination.tags = _merged(destination.tags, request["tags"])
    return {}


def untag_resource(account: Account, request: Parameters) -> Parameters:
    """Take tags off a destination; that keys it does not have are ignored is a guess."""
    destination = account.tagged(request)
    destination.tags = {key: value for key, value in destination.tags.items() if key not in request["tagKeys"]}
    return {}


def list_tags_for_resource(account: Account, request: Parameters) -> Parameters:
    """List a destination's tags."""
    tags = account.tagged(request).tags
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _ingestion_arn(account: Account, request: Parameters) -> str:
    """The ARN of the ingestion that a request names, which has to exist."""
    ingestion = account.ingestion(request)
    if ingestion is None:
        raise not_found(request["ingestionIdentifier"], resource_type="Ingestion")
    return ingestion.ingestion_arn


def _ingestion(account: Account, arn: str) -> Parameters:
    """The API's Ingestion, whose first members are an IngestionSummary's too."""
    return {
        "arn": arn,
        "app": "OKTA",
        "tenantId": "example.okta.com",
        "state": "enabled" if arn in account.enabled else "disabled",
        "appBundleArn": arn.partition("/ingestion/")[0],
        "createdAt": _INGESTIONS_CREATED_AT,
        "updatedAt": _INGESTIONS_CREATED_AT,
        "ingestionType": "auditLog",
    }


def _page(account: Account, request: Parameters, of: str, arns: list[str]) -> tuple[list[str], str | None]:
    """The page of `arns` that a request asks for, and the token of the next one; `of` is what they are of."""
    asked = account.pages.get(request.get("nextToken", ""))
    if "nextToken" in request and (asked is None or asked.of != of):
        raise invalid("The nextToken is not valid")
    if asked and account.now() - asked.issued_at > _TOKEN_LIFETIME:
        # The model's documentation of nextToken: "an HTTP 400 InvalidToken error". Its message is a guess.
        raise ServiceError("InvalidToken", "The nextToken has expired", http_status=400)
    rest = [arn for arn in arns if asked is None or arn > asked.after]
    page = rest[: min(request.get("maxResults", account.page_size), account.page_size)]
    if len(page) == len(rest):
        return page, None
    next_token = secrets.token_urlsafe()
    account.pages[next_token] = Page(of=of, after=page[-1], issued_at=account.now())
    return page, next_token


def _become(account: Account, destination: Destination, operation: str) -> None:
    if outcome := account.outcomes.take(operation):
        if outcome.status:
            destination.status, destination.status_reason = outcome.status, outcome.status_reason
        destination.pending_gets = outcome.pending_gets
        destination.hidden_gets = outcome.hidden_gets
        destination.lingering_gets = outcome.lingering_gets


def _check_format(processing: Parameters, destination: Parameters) -> None:
    # https://docs.aws.amazon.com/appfabric/latest/adminguide/ocsf-schema.html; the code of the error is a guess.
    takes_json_only = "firehoseStream" in destination["auditLog"]["destination"]
    if takes_json_only and processing["auditLog"]["format"] != "json":
        raise invalid("An Amazon Data Firehose stream takes only the format json")


def _merged(tags: Mapping[str, str], more: Iterable[Mapping[str, str]]) -> dict[str, str]:
    # https://docs.aws.amazon.com/general/latest/gr/aws_tagging.html; that AppFabric refuses a breach of
    # these with a ValidationException is a guess.
    added = {tag["key"]: tag["value"] for tag in more}
    if any(key.lower().startswith("aws:") for key in added):
        raise invalid("Tag keys that begin with aws: are reserved")
    merged = {**tags, **added}
    # AWS's own do not count, as that page says.
    if sum(not key.startswith("aws:") for key in merged) > TAGS_PER_RESOURCE:
        raise invalid(f"A resource has at most {TAGS_PER_RESOURCE} tags")
    return merged
