"""The former place of `content/ticket.py`, for scripts that import it from here."""

from flux_tui.core.content.ticket import Ticket, format_ticket, parse_ticket

__all__ = ["Ticket", "format_ticket", "parse_ticket"]
