"""Logs: nouns and verbs with ids, one line an event, to stderr. Never names, birth dates or values."""

import logging
import sys

import structlog


def configure_logging(*, as_json: bool, level: str = "info") -> None:
    """Set up structlog once, in a command; libraries below warning stay quiet."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # rich would print local variables: patients, and rows that cannot be read any more
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _keep(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    return event
