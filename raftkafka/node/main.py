"""Running one node in the foreground, as systemd does: settings, logging, event loop, signals, exit code.

Floor 5. Whatever the operator can mend (a bad setting, a port in use, a foreign directory, a damaged journal) ends in one
clear line on stderr and exit code 1, never in a traceback; a bad setting in exit code 78, since starting again cannot mend it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import uvloop

from raftkafka.adapters.journal import JournalHandler, goes_to_journal
from raftkafka.adapters.service_manager import ServiceManager
from raftkafka.broker.background import DUTY
from raftkafka.model.errors import ConfigurationError, InvariantViolationError, RaftKafkaError
from raftkafka.model.settings.load import load
from raftkafka.model.settings.values import Settings
from raftkafka.node.collector import Collector
from raftkafka.node.descriptors import raise_limit, within_limit
from raftkafka.node.lifecycle import Node
from raftkafka.node.status_line import status_line
from raftkafka.node.supervision import Supervision

_log = logging.getLogger("raftkafka.node")

CONFIGURATION_EXIT: Final = 78
"""EX_CONFIG of sysexits.h, which the unit for systemd does not answer with a new start."""
_STDERR: Final = 2


def load_settings(path: str, overrides: Mapping[str, str] = MappingProxyType({})) -> Settings:
    """The settings in a `server.properties`, some of them overridden, with the cluster secret read from its file.

    Raises:
        ConfigurationError: the message names the file, and the line where there is one.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from error
    loaded = load(text, source=path, overrides=overrides)
    for note in loaded.notes:
        _log.warning("%s", note)
    return with_secrets(loaded.settings)


def with_secrets(settings: Settings) -> Settings:
    """`settings` with the contents of `cluster.secret.file` and `http.auth.token.file`, surrounding white space removed.

    Raises:
        ConfigurationError: one cannot be read, or is shorter than 16 bytes.
    """
    if settings.cluster_secret_file is not None:
        secret = _secret("cluster.secret.file", settings.cluster_secret_file)
        settings = replace(settings, cluster_secret=secret)
    if settings.http_auth_token_file is not None:
        token = _secret("http.auth.token.file", settings.http_auth_token_file)
        settings = replace(settings, http_auth_token=token)
    return settings


def _secret(key: str, path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{key} {path}: cannot be read: {error.strerror}") from error
    if len(secret) < 16:
        raise ConfigurationError(f"{key} {path}: has {len(secret)} bytes, at least 16 are needed")
    return secret


def run_broker(path: str, overrides: Mapping[str, str] = MappingProxyType({})) -> int:
    """Run the node that the file at `path` describes until SIGTERM or SIGINT; the exit code. `overrides` go before the file."""
    _configure_logging()
    try:
        settings = load_settings(path, overrides)
    except ConfigurationError as error:
        return _refuse(error)
    return run_settings(settings)


def run_settings(settings: Settings) -> int:
    """Run one node until SIGTERM or SIGINT; the exit code: 0 after a clean stop, 78 when the settings cannot be used, 1 when it
    could not start or go on for another reason."""
    _configure_logging()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, JournalHandler):
            handler.node_id = settings.node_id
    if not faulthandler.is_enabled():
        # The watchdog of systemd ends a loop that is stuck with SIGABRT: this says where it was.
        faulthandler.enable()
    manager = ServiceManager.from_environment(os.environ, process_id=os.getpid())
    supervision = Supervision(manager)
    try:
        uvloop.run(_run(within_limit(settings, raise_limit()), supervision))
    except RaftKafkaError as error:
        supervision.failed(str(error))
        return _refuse(error)
    finally:
        if manager is not None:
            manager.close()
    return 0


def _refuse(error: RaftKafkaError) -> int:
    if any(isinstance(handler, JournalHandler) for handler in logging.getLogger().handlers):
        _log.critical("rk broker: %s", error)
    else:
        sys.stderr.write(f"rk broker: {error}\n")
    return CONFIGURATION_EXIT if isinstance(error, ConfigurationError) else 1


async def _run(settings: Settings, supervision: Supervision) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = Node(settings)

    def on_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        if DUTY in context:
            # A broker without its fetcher or its heartbeats is worse than none: stop, and be started again.
            node.fail(InvariantViolationError(f"{context[DUTY]} has stopped: {context['exception']!r}"))

    loop.set_exception_handler(on_exception)
    with supervision:
        supervision.starting()
        await node.start()
        collector = Collector()
        collector.start()
        supervision.ready(lambda: status_line(node))
        try:
            await _until_stopped(node, stop, supervision)
        finally:
            collector.stop()


async def _until_stopped(node: Node, stop: asyncio.Event, supervision: Supervision) -> None:
    loop = asyncio.get_running_loop()
    stopped = loop.create_task(stop.wait())
    failed = loop.create_task(node.failure())
    try:
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
    finally:
        stopped.cancel()
        failed.cancel()
        supervision.stopping()
        await node.stop()


def _configure_logging() -> None:
    if logging.getLogger().handlers:
        return
    if goes_to_journal(os.environ, _STDERR):
        # The journal notes time and level by itself.
        logging.basicConfig(level=logging.INFO, handlers=[JournalHandler()], format="%(message)s")
        return
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
