"""`make local-deploy`: a template of the user's, linted and deployed into the local environment."""

import os
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from local.activity_view import ActivityView, reason_of
from local.cloudformation import CloudFormation, CloudFormationError, Stack
from local.console import Problem, console
from local.environment import check_is_not_the_provider, running
from local.rehearsal import EXAMPLE, Rehearsal
from local.templates import Template, parse_parameters, stack_name
from local.ways_out import check_takes_a_deployment, reports_what_goes_on, ways_out

_TEMPLATE_NEEDED = 'usage: make local-deploy TEMPLATE=my.yaml [STACK=name] [PARAMS="Name=value"] [FAIL=…]'


def main() -> int:
    """Deploy what the variables TEMPLATE, STACK, PARAMS and FAIL describe.

    Returns:
        0 when the stack was created or updated, or rolled back as rehearsed.
    """
    path = Path(os.environ.get("TEMPLATE", "")).expanduser()
    if not path.name:
        raise Problem(_TEMPLATE_NEEDED, status=2)
    name = stack_name(os.environ.get("STACK", ""), path)
    check_is_not_the_provider(name)
    parameters = parse_parameters(os.environ.get("PARAMS", ""))
    rehearsal = Rehearsal.parse(fail) if (fail := os.environ.get("FAIL", "")) else None
    template = Template.read(path)
    environment = running()
    cloudformation = environment.cloudformation()
    before = cloudformation.find(name)
    if before:
        check_takes_a_deployment(before, prepare=environment.prepare)
    added = template.complete(parameters, region=environment.region, known=before.parameters if before else ())
    template.check_region({**parameters, **added}, environment.region)
    out = console()
    with out.status(f"Linting {escape(path.name)}"):
        warnings = template.lint(environment.region)
    for warning in warnings:
        out.print(Text(warning, style="yellow"), soft_wrap=True)
    for parameter, value in added.items():
        out.print(Text(f"{parameter} is not given: {value}", style="dim"), soft_wrap=True)
    deployment = Deployment(out, cloudformation, name, prepare=environment.prepare)
    with (
        rehearsal.injected(environment.appfabric_endpoint) if rehearsal else nullcontext(),
        reports_what_goes_on(cloudformation, name, prepare=environment.prepare),
    ):
        error = deployment.run(template.path, {**parameters, **added})
    return 0 if deployment.report(error, rehearsal) else 1


class Deployment:
    """One deployment of a stack, as the user sees it.

    Args:
        out: Where to print.
        cloudformation: The environment's.
        name: The stack.
        prepare: The command after which `aws` reaches the local environment.
    """

    def __init__(self, out: Console, cloudformation: CloudFormation, name: str, *, prepare: str) -> None:
        self._out = out
        self._prepare = prepare
        self._cloudformation = cloudformation
        self._name = name
        self._seen = len(cloudformation.activity.entries())

    def run(self, template: Path, parameters: dict[str, str]) -> str | None:
        """Deploy, and print what happens as it happens; returns what `sam deploy` said when it failed."""
        with ActivityView(
            self._out, self._cloudformation.activity, region=self._cloudformation.region, stack=self._name
        ):
            try:
                self._cloudformation.deploy(template, stack_name=self._name, parameters=parameters, timeout=None)
            except CloudFormationError as error:
                return str(error)
        return None

    def report(self, error: str | None, rehearsal: Rehearsal | None) -> bool:
        """Print how it ended, and what to do next; returns whether it ended as it should."""
        entries = self._cloudformation.activity.entries(after=self._seen)
        events = [each for each in entries if each["kind"] == "stack_event" and each["StackName"] == self._name]
        stack = self._cloudformation.find(self._name)
        failure = next((each for each in events if each["ResourceStatus"].endswith("FAILED")), None)
        reason = f"{failure['LogicalResourceId']}: {reason_of(failure)}" if failure else last_error(error or "")
        self._out.print()
        if stack is None or (error and not events):
            raise Problem(f"{self._name} was not deployed: {reason}")
        if rehearsal and error and stack.status.endswith("ROLLBACK_COMPLETE"):
            return self._say(True, f"{self._name} was rolled back, as rehearsed. {reason}", stack)
        if rehearsal:
            why = rehearsal.why_without_effect(entries)
            return self._say(False, f"{self._name} is {stack.status if events else 'up to date'}{why}", stack)
        if error:
            return self._say(False, f"{self._name} is {stack.status}. {reason}", stack)
        done = stack.status if events else "up to date: there was nothing to change"
        return self._say(True, f"{self._name} is {done}", stack)

    def _say(self, good: bool, text: str, stack: Stack) -> bool:
        self._out.print(Text.assemble(("✓ ", "green") if good else ("✗ ", "red"), text), soft_wrap=True)
        width = max(map(len, stack.outputs), default=0)
        for name, value in stack.outputs.items():
            self._out.print(Text(f"  {name:<{width}}  {value}"), soft_wrap=True)
        self._out.print("\nNext:")
        steps = ways_out(stack) or [
            ("update", "change the template or PARAMS, and run the same command again"),
            ("rehearse", f"add FAIL='{EXAMPLE}'"),
        ]
        if any(step.startswith("aws ") for _, step in steps):
            steps.insert(0, ("prepare", self._prepare))
        if "delete" not in dict(steps):
            steps.append(("delete", f"make local-delete STACK={self._name}"))
        for verb, step in [*steps, ("look", "make local-destinations")]:
            self._out.print(Text.assemble(f"  {verb:<9} ", (step, "cyan")), soft_wrap=True)
        return good


def last_error(output: str) -> str:
    """The last lines of an output of `sam deploy`: its error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    start = next((index for index in reversed(range(len(lines))) if lines[index].startswith("Error:")), len(lines) - 1)
    return " ".join(lines[start:]).removeprefix("Error: ")
