"""Creates a destination once, however often CloudFormation's request is delivered.

A create call whose effect is not known is not simply sent again: how long AppFabric remembers a client token is not
documented, so that what the call may have created is searched for first.
https://docs.aws.amazon.com/appfabric/latest/api/API_CreateIngestionDestination.html
"""

from __future__ import annotations

from ingestion_destination.appfabric.client import INITIAL_BACKOFF, AppFabric
from ingestion_destination.appfabric.destination import Destination
from ingestion_destination.appfabric.errors import IdempotentParameterMismatch
from ingestion_destination.exceptions import HandlerError, ResourceConflict, ServiceLimitExceeded
from ingestion_destination.invocation import Invocation
from ingestion_destination.observability import report_possible_orphan
from ingestion_destination.properties import Desired
from ingestion_destination.search import Search


class Creation:
    """The creation of a destination for one request.

    Args:
        invocation: Whose request it is.
        desired: What to create.
    """

    def __init__(self, invocation: Invocation, desired: Desired) -> None:
        self.invocation, self.desired = invocation, desired
        self.request, self.appfabric, self.journal = invocation.request, invocation.appfabric, invocation.journal
        self.search = Search(owner=invocation.owner)

    def create(self) -> Destination:
        """Create the destination, or find what an earlier invocation created; its status is not waited for.

        Raises:
            ResourceConflict: A later request has been here, or AppFabric sees a conflict.
            HandlerError: It was not created, or is not known to be: the journal says which.
        """
        doubt = self.request.may_be_duplicate
        self.journal.record(create_in_doubt=doubt)
        if doubt and (earlier := self._created_before()):
            return earlier
        try:
            created = self._call_until_certain(doubt=doubt)
        except HandlerError as failure:
            if failure.in_doubt and self._may_have_no_delete:
                report_possible_orphan(None, f"a Create, perhaps a duplicate, may have created it: {failure.reason}")
            raise
        self.journal.record(created=created.arn, create_in_doubt=False)
        if self.invocation.is_late:
            report_possible_orphan(created.arn, "created late, perhaps by a duplicate invocation: is it in its stack?")
        return created

    @property
    def _may_have_no_delete(self) -> bool:
        """Whether the resource may be gone by now: a duplicate's response is then ignored, and no Delete follows."""
        return self.request.type == "Create" and self.request.may_be_duplicate

    def _call_until_certain(self, *, doubt: bool) -> Destination:
        appfabric = self.appfabric.until(self.invocation.deadline.create_ends)
        failure: HandlerError | None = None
        while True:
            self.journal.record(create_in_doubt=True)
            try:
                return self._call(appfabric)
            except (ResourceConflict, IdempotentParameterMismatch) as error:
                if created := self._find_despite(error):
                    return created
                raise self._advise(error) from None
            except HandlerError as error:
                if not error.in_doubt:
                    self.journal.record(create_in_doubt=doubt)
                    raise failure or self._advise(error) from None
                failure, doubt = error, True
                if created := self._find_despite(error):
                    return created
                appfabric.clock.sleep(INITIAL_BACKOFF)

    def _call(self, appfabric: AppFabric) -> Destination:
        ownership = self.invocation.ownership
        return appfabric.create(
            self.desired.parents,
            processing=self.desired.processing,
            target=self.desired.target,
            tags={**self.desired.tags, **ownership.tags},
            token=ownership.token,
        )

    def _find_despite(self, failure: HandlerError) -> Destination | None:
        """What a create call that failed created all the same.

        Raises:
            HandlerError: The call's own failure, when that cannot be searched for: no further call must follow.
        """
        try:
            return self._created_before()
        except HandlerError:
            raise failure from None

    def _created_before(self) -> Destination | None:
        """What this request created or went back to, whichever invocation of it did.

        Raises:
            ResourceConflict: A later request created something: this one is over.
            HandlerError: One that may be this resource's could not be read; what the role must not read is not its own.
        """
        owned = self.search.find(self.appfabric, self.desired.parents)
        if self.search.unreadable:  # one refusal is not believed: what it hides may be this request's
            self.appfabric.clock.sleep(INITIAL_BACKOFF)
            owned = self.search.find(self.appfabric, self.desired.parents)
        created = [each for each in owned if each.ownership.token == self.request.client_token]
        if created:
            self.journal.record(created=created[0].arn, create_in_doubt=False)
            if len(created) > 1:
                for each in created:
                    report_possible_orphan(
                        each.arn, "AppFabric forgot the client token: one of several that a single request created"
                    )
            return created[0].destination
        for each in owned:
            if each.ownership.was_returned_to_by(self.request):  # and CloudFormation has deleted the id since
                self.journal.record(create_in_doubt=False)
                return each.destination
        if failure := next(iter(self.search.may_be_own.values()), None):
            raise failure
        is_unique = self.invocation.owner.is_unique
        if is_unique and any(each.ownership.is_later_than(self.request) for each in owned):
            raise self.invocation.record_overtaken()
        return None

    def _advise(self, failure: HandlerError) -> HandlerError:
        """Say why there may be one destination too many: CloudFormation creates first, and deletes afterwards."""
        if isinstance(failure, (ServiceLimitExceeded, ResourceConflict)) and self.request.physical_resource_id:
            failure.message += (
                ". This change needs a replacement, which is created before the old destination is deleted. An"
                " ingestion can have five destinations, a quota that cannot be raised: delete one that is not needed,"
                " or remove this resource in one deployment and add it again in the next"
            )
        elif isinstance(failure, (ServiceLimitExceeded, ResourceConflict)):
            failure.message += (
                ". A renamed resource is created before the old one is deleted. An ingestion can have five"
                " destinations, a quota that cannot be raised: delete one that is not needed, or remove the old"
                " resource in one deployment and add the new one in the next"
            )
        return failure
