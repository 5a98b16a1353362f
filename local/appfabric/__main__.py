"""The AppFabric emulator alone: `python -m local.appfabric`."""

import argparse
import signal
from threading import Event

from local.appfabric.emulator import AppFabricEmulator, Call
from local.appfabric.server import serve

DEFAULT_PORT = 4580  # not 4566, where a local CloudFormation is likely to listen
BUNDLE = "11111111-1111-4111-8111-111111111111"
INGESTION = "22222222-2222-4222-8222-222222222222"


def main() -> None:
    """Serve until Ctrl-C or SIGTERM, with one line for each call."""
    parser = argparse.ArgumentParser(prog="python -m local.appfabric", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 for any (%(default)s)")
    parser.add_argument("--region", default="us-east-1", help="of the ARNs it creates (%(default)s)")
    arguments = parser.parse_args()

    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    service = AppFabricEmulator(region=arguments.region)
    service.subscribe(_print)
    try:
        with serve(service, host=arguments.host, port=arguments.port) as url:
            _say(f"AppFabric emulator for {arguments.region} at {url}, until Ctrl-C. In another terminal:")
            _say(f"  export AWS_ENDPOINT_URL_APPFABRIC={url}")
            _say("  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any")
            _say(
                f"  aws appfabric list-ingestion-destinations --region {arguments.region}"
                f" --app-bundle-identifier {BUNDLE} --ingestion-identifier {INGESTION}"
            )
            ended.wait()
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {arguments.host}:{arguments.port}: {error.strerror}\n")


def _print(call: Call) -> None:
    outcome = "no response" if call.status is None else call.status
    _say(f"{call.at.astimezone():%H:%M:%S} {call.operation} {outcome} {call.error or ''}".rstrip())


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
