"""ministack, with CloudFormation's contract for custom resources: `python -m local.cloudformation.ministack_patches`.

Runs in ministack's own environment, `.venv-cloudformation`. ministack knows stacks, change sets, events and
rollbacks well, and custom resources roughly. These parts of version 1.5.33 are replaced,
in memory only:

| ministack's                                 | what it does otherwise                                       |
| ------------------------------------------- | ------------------------------------------------------------ |
| `custom_resource.invoke_custom_resource`    | invokes the function once, waits for it, takes any response  |
| `lambda_svc._execute_function_warm`         | runs the function without Lambda's runtime                   |
| `lambda_svc._fetch_code_from_s3`            | creates a function from code that does not                   |
| `stacks._deploy_stack_async` (wrapped)      | creates one resource after another                           |
| `stacks._failed_operation` (wrapped)        | forgets a resource whose Create failed, so it gets no Delete |
| `stacks._validation_errors` (wrapped)       | lets a custom resource change its type                       |
| `_custom_named_replacement_error` (wrapped) | lets a custom resource change its ServiceToken               |
| `stacks._resolve_stack_outputs` (wrapped)   | changes an export in use, and keeps one that was removed     |
| `DeleteStack` (wrapped)                     | says in its own words that an export is in use               |
| `ListImports` (wrapped)                     | omits a stack that is in progress or has failed              |
| `UpdateStack` (wrapped)                     | refuses a stack that failed and was not rolled back          |
| `CreateChangeSet` (wrapped)                 | takes an update in every state of the stack                  |
| `ExecuteChangeSet` (wrapped)                | the same                                                     |
| `stacks._delete_stack_async` (wrapped)      | deletes what a resource whose Delete failed depends on       |
| `stacks._roll_back_operation` (wrapped)     | forgets a resource whose Delete failed                       |
| `AWS::Lambda::Function` (wrapped)           | ignores ReservedConcurrentExecutions                         |
| `stacks._add_event` (wrapped)               | announces no event                                           |
| `app._port_is_bindable`                     | opens port 443 beside its own                                |

tests/lifecycle/test_local_cloudformation.py shows what each of them is for.
"""

import importlib.metadata
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import ministack.app
from ministack.core.responses import now_iso
from ministack.services import lambda_svc
from ministack.services.cloudformation import (
    _exports,
    _stack_events,
    _stacks,
    changesets,
    custom_resource,
    handlers,
    helpers,
    provisioners,
    stacks,
)

from local.activity_log import ActivityLog
from local.certificates import Certificates
from local.cloudformation.custom_resources import CustomResource, CustomResources, LoggingReceiver
from local.cloudformation.lambda_functions import Functions
from local.cloudformation.parallel_creates import Created, Properties
from local.cloudformation.stack_operation import CUSTOM, StackOperation, running, strings

VERSION = "1.5.33"


def install(*, custom_resources: CustomResources, functions: Functions, activity: ActivityLog) -> None:
    """Replace ministack's own parts.

    Raises:
        RuntimeError: ministack is of another version than the one that this was written for.
    """
    version = importlib.metadata.version("ministack")
    if version != VERSION:
        raise RuntimeError(f"{__spec__.name} is for ministack {VERSION}, and this is {version}")
    _replace_requests(custom_resources)
    _replace_functions(functions)
    _wrap_operations(custom_resources)
    _wrap_validation()
    _wrap_service_tokens()
    _wrap_exports()
    _wrap_updates()
    _wrap_change_sets()
    _wrap_deletions()
    _wrap_rollbacks()
    _wrap_concurrency()
    _wrap_events(activity)
    ministack.app._port_is_bindable = lambda *_: False


def invoke(service_token: str, event: Mapping[str, Any]) -> None:
    """Invoke a function as CloudFormation does: asynchronously, so Lambda retries an invocation that failed.

    ministack's own: as often as MaximumRetryAttempts says, within MaximumEventAgeInSeconds, and the event
    goes to the OnFailure destination after the last. Only the waits between the retries are shorter.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    function, config, _ = lambda_svc._get_func_record_for_ref(service_token)
    if function is None:
        raise ValueError(f"Function not found: {service_token}")
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)


def _replace_requests(custom_resources: CustomResources) -> None:
    def invoke_custom_resource(  # noqa: PLR0917 - ministack's own signature
        request_type: str,
        logical_id: str,
        props: Properties,
        stack_name: str,
        stack_id: str,
        resource_type: str,
        physical_id: str | None = None,
        old_props: Properties | None = None,
    ) -> Created:
        resource = CustomResource(stack_name, stack_id, logical_id, resource_type)
        operation = running.get()
        if request_type == "Create" and operation and operation.stack_id == stack_id:
            return operation.creates.create(resource, strings(props))
        return custom_resources.request(
            request_type,
            resource,
            properties=strings(props),
            physical_id=physical_id,
            old_properties=None if old_props is None else strings(old_props),
        )

    custom_resource.invoke_custom_resource = invoke_custom_resource


def _replace_functions(functions: Functions) -> None:
    def execute(function: Mapping[str, Any], event: object, request_id: str) -> dict[str, Any]:  # noqa: ARG001
        invocation = functions.invoke(function, event)
        return {"body": invocation.payload, "log": invocation.log, "error": invocation.failed}

    fetch = lambda_svc._fetch_code_from_s3

    def fetch_code_from_s3(bucket: str, key: str, version_id: str | None = None) -> bytes:
        code: bytes | None = fetch(bucket, key, version_id)
        if code is None:
            raise ValueError(f"Error occurred while GetObject. The specified key does not exist: {key}")
        return code

    lambda_svc._execute_function_warm = execute
    lambda_svc._fetch_code_from_s3 = fetch_code_from_s3


def _wrap_operations(custom_resources: CustomResources) -> None:
    deploy, failed_operation = stacks._deploy_stack_async, stacks._failed_operation

    async def deploy_stack(
        stack_name: str,
        stack_id: str,
        template: Mapping[str, Any],
        parameters: Mapping[str, Any],
        *arguments: object,
        is_update: bool = False,
        **options: object,
    ) -> None:
        operation = StackOperation(
            custom_resources=custom_resources,
            stack_name=stack_name,
            stack_id=stack_id,
            template=template,
            parameters=parameters,
            is_update=is_update,
        )
        running.set(operation)  # seen by this task and the threads that it starts
        await deploy(stack_name, stack_id, template, parameters, *arguments, is_update=is_update, **options)

    def describe_failed(*arguments: object) -> dict[str, Any]:
        """What the rollback has to delete; ministack lists there what was created."""
        description: dict[str, Any] = failed_operation(*arguments)
        operation = running.get()
        if operation is not None:
            description["created"] += operation.keep_leftovers(failed=description["failed_logical_id"])
        return description

    for module in (stacks, handlers, changesets):
        module._deploy_stack_async = deploy_stack
    stacks._failed_operation = describe_failed


def _wrap_validation() -> None:
    validation_errors = stacks._validation_errors

    def errors(  # noqa: PLR0917 - ministack's own signature
        definitions: Mapping[str, Any],
        ordered: list[str],
        parameters: object,
        conditions: object,
        mappings: object,
        stack_name: str,
        *arguments: object,
    ) -> list[tuple[str, str, str, str, str]]:
        found: list[tuple[str, str, str, str, str]] = validation_errors(
            definitions, ordered, parameters, conditions, mappings, stack_name, *arguments
        )
        existing = _stacks[stack_name].get("_resources", {})
        for logical_id in ordered:
            new_type, old = definitions[logical_id]["Type"], existing.get(logical_id)
            if old and old["ResourceType"] != new_type and old["ResourceType"].startswith(CUSTOM):
                reason = f"Update of resource type is not permitted: {old['ResourceType']} to {new_type}"
                found.append((logical_id, new_type, "PROPERTY_VALIDATION", f"/Resources/{logical_id}/Type", reason))
        return found

    stacks._validation_errors = errors


def _wrap_service_tokens() -> None:
    """Refuse a change of a ServiceToken where ministack refuses other updates: nothing is sent, or sent back."""
    refusal = provisioners._custom_named_replacement_error

    def error(resource_type: str, old: Properties, new: Properties, *arguments: object) -> str | None:
        if resource_type.startswith(CUSTOM) and old.get("ServiceToken") != new.get("ServiceToken"):
            return "Modifying service token is not allowed."
        refused: str | None = refusal(resource_type, old, new, *arguments)
        return refused

    for module in (stacks, provisioners):
        module._custom_named_replacement_error = error


def _wrap_exports() -> None:
    """Keep an export's value, and the export itself, while another stack imports it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
    """
    resolve = stacks._resolve_stack_outputs
    delete, list_none = handlers._ACTION_HANDLERS["DeleteStack"], handlers._ACTION_HANDLERS["ListImports"]

    def exported(stack_id: str) -> dict[str, str]:
        return {name: export["Value"] for name, export in _exports.items() if export["StackId"] == stack_id}

    def problem(name: str, verb: str) -> str | None:
        importers = _importers(name)
        return f"Export {name} cannot be {verb} as it is in use by {', '.join(importers)}" if importers else None

    def resolve_outputs(*arguments: object) -> tuple[list[dict[str, str]], dict[str, Any]]:
        outputs, exports = resolve(*arguments)
        before = exported(str(arguments[-1]))  # the stack's id
        for name, value in before.items():
            kept = exports.get(name)
            if kept and kept["Value"] == value:
                continue
            if reason := problem(name, "updated" if kept else "deleted"):
                raise ValueError(reason)
        for name in before.keys() - exports.keys():  # nothing can fail an update after its outputs
            _exports.pop(name)
        return outputs, exports

    def delete_stack(parameters: Mapping[str, Any]) -> object:
        stack = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        reasons = (problem(name, "deleted") for name in (exported(stack["StackId"]) if stack else ()))
        reason = next(filter(None, reasons), None)
        return helpers._error("ValidationError", reason) if reason else delete(parameters)

    def list_imports(parameters: Mapping[str, Any]) -> object:
        members = "".join(f"<member>{name}</member>" for name in _importers(handlers._p(parameters, "ExportName")))
        result = f"<ListImportsResult><Imports>{members}</Imports></ListImportsResult>"
        return helpers._xml(200, "ListImportsResponse", result) if members else list_none(parameters)

    stacks._resolve_stack_outputs = resolve_outputs
    handlers._ACTION_HANDLERS.update(DeleteStack=delete_stack, ListImports=list_imports)


def _importers(export: str) -> list[str]:
    """The names of the other stacks that import an export, which each does until it is deleted."""
    exporter = _exports.get(export, {}).get("StackId")
    return sorted(
        name
        for name, stack in _stacks.items()
        if stack["StackStatus"] != "DELETE_COMPLETE"
        and stack["StackId"] != exporter
        and export in handlers._imported_export_names(stack, name)
    )


def _wrap_updates() -> None:
    """Let an update continue what failed and was kept: ministack sends an Update for what a Create left.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    update = handlers._ACTION_HANDLERS["UpdateStack"]

    def update_stack(parameters: Mapping[str, Any]) -> object:
        stack = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        failed = stack["StackStatus"] if stack else ""
        if failed not in ("CREATE_FAILED", "UPDATE_FAILED"):
            return update(parameters)
        stack["StackStatus"] = "UPDATE_COMPLETE"
        response = update(parameters)
        if stack["StackStatus"] == "UPDATE_COMPLETE":  # the request was refused
            stack["StackStatus"] = failed
        return response

    handlers._ACTION_HANDLERS["UpdateStack"] = update_stack


def _wrap_change_sets() -> None:
    """Refuse a change set for a stack that is at work, or whose rollback or deletion failed.

    The states: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
    """
    create = handlers._ACTION_HANDLERS["CreateChangeSet"]
    execute = handlers._ACTION_HANDLERS["ExecuteChangeSet"]

    def refuse(stack: Mapping[str, Any] | None, change_set_type: str) -> object:
        status = stack["StackStatus"] if stack else ""
        # No import is tried here, and a deleted stack does not exist: ministack says so itself
        refused = status.endswith(("_IN_PROGRESS", "ROLLBACK_FAILED", "DELETE_FAILED")) or status == "ROLLBACK_COMPLETE"
        if not (stack and refused and change_set_type == "UPDATE"):
            return None
        reason = f"Stack:{stack['StackId']} is in {status} state and can not be updated."
        return helpers._error("ValidationError", reason)

    def create_change_set(parameters: Mapping[str, Any]) -> object:
        stack = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        return refuse(stack, handlers._p(parameters, "ChangeSetType", "UPDATE")) or create(parameters)

    def execute_change_set(parameters: Mapping[str, Any]) -> object:
        named = (handlers._p(parameters, name) for name in ("ChangeSetName", "StackName"))
        _, change_set = changesets._find_change_set(*named)
        if change_set is None:
            return execute(parameters)
        stack = handlers._resolve_stack(change_set["StackName"])
        return refuse(stack, change_set.get("ChangeSetType", "UPDATE")) or execute(parameters)

    handlers._ACTION_HANDLERS.update(CreateChangeSet=create_change_set, ExecuteChangeSet=execute_change_set)


def _wrap_deletions() -> None:
    """Keep what a resource whose Delete failed depends on: set it aside until the deletion has ended."""
    delete, add = stacks._delete_stack_async, stacks._add_event

    def add_event(
        stack_id: str, stack_name: str, logical_id: str, type_: str, status: str, *arguments: object, **options: object
    ) -> None:
        add(stack_id, stack_name, logical_id, type_, status, *arguments, **options)
        if status != "DELETE_FAILED" or (stack := _stacks[stack_name])["StackStatus"] != "DELETE_IN_PROGRESS":
            return
        resources, definitions = stack["_resources"], stack["_template"]["Resources"]
        for kept in stacks._with_dependencies([logical_id], definitions, set(resources)) - {logical_id}:
            stack.setdefault("_kept", {})[kept] = resources.pop(kept)

    async def delete_stack(stack_name: str, *arguments: object, **options: object) -> None:
        stack = _stacks[stack_name]
        await delete(stack_name, *arguments, **options)
        stack["_resources"].update(stack.pop("_kept", {}))

    stacks._add_event = add_event
    for module in (stacks, handlers):
        module._delete_stack_async = delete_stack


def _wrap_rollbacks() -> None:
    """Keep a resource whose Delete failed in a rollback, so that deleting the stack sends it another one."""
    roll_back = stacks._roll_back_operation

    async def roll_back_operation(
        stack_name: str, stack_id: str, stack: dict[str, Any], *arguments: object, **options: object
    ) -> None:
        await roll_back(stack_name, stack_id, stack, *arguments, **options)
        if stack["StackStatus"] != "ROLLBACK_FAILED":
            return
        for logical_id, record in stack["_rollback_failed"].items():
            names = {"LogicalResourceId": logical_id, "ResourceStatus": "DELETE_FAILED"}
            stack["_resources"][logical_id] = {**record, **names, "Attributes": {}, "Timestamp": now_iso()}

    for module in (stacks, handlers):
        module._roll_back_operation = roll_back_operation


def _wrap_concurrency() -> None:
    """Set a function's reserved concurrency, as its template says, when it is created and when it is updated."""
    function = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = function["create"], function["update"]

    def reserve(name: str, properties: Mapping[str, Any]) -> None:
        reserved = properties.get("ReservedConcurrentExecutions")
        lambda_svc._functions[name]["concurrency"] = None if reserved is None else int(reserved)

    def create_function(
        logical_id: str, properties: Mapping[str, Any], *arguments: object, **options: object
    ) -> object:
        created: tuple[str, object] = create(logical_id, properties, *arguments, **options)
        reserve(created[0], properties)
        return created

    def update_function(
        physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any], *arguments: object, **options: object
    ) -> object:
        updated: tuple[str, object] = update(physical_id, old, new, *arguments, **options)
        reserve(updated[0], new)
        return updated

    function.update(create=create_function, update=update_function)


def _wrap_events(activity: ActivityLog) -> None:
    add = stacks._add_event

    def add_event(stack_id: str, *arguments: object, **options: object) -> None:
        add(stack_id, *arguments, **options)
        activity.write("stack_event", **_stack_events[stack_id][-1])

    for module in (stacks, handlers, changesets):
        module._add_event = add_event


def main(directory: Path, certificates: Certificates) -> NoReturn:
    """Serve until standard input ends, which it does when the process that started this one is gone.

    Args:
        directory: Of this process's own. Gets the activity log and the functions' code.
        certificates: For the pre-signed URLs. ministack reads its own from its environment.
    """
    activity = ActivityLog(directory / "activity.jsonl")
    functions = Functions(ca=certificates.ca, directory=directory / "functions", activity=activity)
    receiver = LoggingReceiver(certificates, activity=activity)
    receiver.__enter__()
    custom_resources = CustomResources(receiver=receiver, activity=activity, invoke=invoke)
    install(custom_resources=custom_resources, functions=functions, activity=activity)

    def end_with_parent() -> None:
        sys.stdin.read()
        functions.close()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.argv[1:] = []  # ministack reads it too
    ministack.app.main()
    functions.close()
    sys.exit(1)  # nothing else ends it


if __name__ == "__main__":
    main(Path(sys.argv[1]), Certificates(Path(sys.argv[2])))
