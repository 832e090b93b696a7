"""A mail server for the tests: SMTP with STARTTLS, implicit TLS and a login, by aiosmtpd.

Arguments: certificate, key, file for what was taken (one JSON object a line), and three ports: in the clear,
STARTTLS, and TLS from the first byte. The last two want a login.
"""

import email
import email.policy
import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

certificate, key, taken, plain, starttls, implicit = sys.argv[1:]
lock = threading.Lock()


class Handler:
    """Takes mail for everyone but two: nobody for good, and later for now."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "451 4.7.1 greylisted, come back"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        # A parser that is not ours: what it finds wrong is in `defects`.
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
        defects = [repr(defect) for part in message.walk() for defect in part.defects]
        defects += [repr(defect) for value in message.values() for defect in value.defects]
        record = {
            # The first is set by STARTTLS, the second by TLS from the first byte.
            "tls": session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None,
            "login": bool(session.authenticated),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "parts": parts,
            "defects": defects,
        }
        with lock, open(taken, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == b"alerts" and data.password == b"s3cret word"
    # Not handled: the server sends the refusal itself.
    return AuthResult(success=right, handled=False)


def context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


controllers = [
    Controller(Handler(), hostname="127.0.0.1", port=int(plain), authenticator=authenticate,
               auth_require_tls=False),
    Controller(Handler(), hostname="127.0.0.1", port=int(starttls), authenticator=authenticate,
               auth_required=True, tls_context=context(), require_starttls=True),
    Controller(Handler(), hostname="127.0.0.1", port=int(implicit), authenticator=authenticate,
               auth_required=True, auth_require_tls=False, ssl_context=context()),
]
for controller in controllers:
    controller.start()
print("ready", flush=True)
threading.Event().wait()
