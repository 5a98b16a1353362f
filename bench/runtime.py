"""As little of a Lambda runtime as can run a Python handler: `python -S runtime.py TASK_ROOT EVENTS REPORT`.

Standard library only and nothing imported that a handler's own start-up would have to import: this is measured too.
"""

import sys
import time

task_root, events, report = sys.argv[1:]
sys.path[0] = task_root


def names_of_aws_are_here():
    """Let AWS's names lead to this machine, as DNS would: then a handler sees the names that it sees in Lambda."""
    import socket

    ask = socket.getaddrinfo

    def resolve(host, *arguments, **options):
        return ask("127.0.0.1" if str(host).endswith(".amazonaws.com") else host, *arguments, **options)

    socket.getaddrinfo = resolve


class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = "ProviderFunction"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:ProviderFunction"
    log_stream_name = "2026/11/22/[$LATEST]local"
    memory_limit_in_mb = 256

    def __init__(self):
        self._ends = time.monotonic() + 100  # under 135 s crhelper does not sleep for two minutes on a Delete

    def get_remaining_time_in_millis(self):
        return int((self._ends - time.monotonic()) * 1000)


began = time.monotonic()
names_of_aws_are_here()
from app import lambda_handler  # noqa: E402

loaded = time.monotonic()
import json  # noqa: E402

taken, cpu = [], []
with open(events) as lines:  # noqa: PTH123
    for line in lines:
        event = json.loads(line)
        start = time.monotonic()
        lambda_handler(event, Context())
        taken.append(time.monotonic() - start)
        cpu.append(time.process_time())  # of all threads, since the process began
with open("/proc/self/status") as status:  # noqa: PTH123
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
with open(report, "w") as out:  # noqa: PTH123
    json.dump({"init": loaded - began, "taken": taken, "cpu": cpu, "peak": peak}, out)
