"""A stand-in for Keycloak: discovery, the login of an administrator, and a part of the admin REST API.

It keeps its users and groups in `$KEYCLOAK_DATA/realm.state`, and imports the realm as Keycloak does.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BASE = os.environ["KC_HTTP_RELATIVE_PATH"].rstrip("/")
DATA = os.environ["KEYCLOAK_DATA"]
STATE = os.path.join(DATA, "realm.state")
with open(os.path.join(DATA, "data/import/realm.json"), encoding="utf-8") as file:
    IMPORT = json.load(file)
REALM = IMPORT["realm"]
ISSUER = f"{os.environ['KC_HOSTNAME']}/realms/{REALM}"
TOKEN = "token-of-the-stub"
ID = "3f0c1f6e-0000-4000-8000-0000000000"


def load():
    if os.path.exists(STATE):
        with open(STATE, encoding="utf-8") as file:
            return json.load(file)
    names = [group["name"] for group in IMPORT.get("groups", [])]
    return {"users": IMPORT.get("users", []), "groups": names, "roles": {}}


def save(state):
    with open(STATE, "w", encoding="utf-8") as file:
        json.dump(state, file)


save(load())


class Keycloak(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=None, location=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = url.path.removeprefix(BASE)
        if path == f"/realms/{REALM}/.well-known/openid-configuration":
            at = f"{ISSUER}/protocol/openid-connect"
            return self.answer(200, {
                "issuer": ISSUER,
                "authorization_endpoint": f"{at}/auth",
                "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/certs",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })
        if path == f"/realms/{REALM}/protocol/openid-connect/certs":
            key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "e": "AQAB", "n": "w" + "x" * 341}
            return self.answer(200, {"keys": [key]})
        return self.administer("GET", path, query, None)

    def do_POST(self):
        path = self.path.removeprefix(BASE)
        if path == "/realms/master/protocol/openid-connect/token":
            form = {name: values[0] for name, values in parse_qs(self.body()).items()}
            known = ("password", "admin-cli", "admin", os.environ["KC_BOOTSTRAP_ADMIN_PASSWORD"])
            if tuple(form.get(name) for name in ("grant_type", "client_id", "username", "password")) != known:
                return self.answer(401, {"error": "invalid_grant"})
            return self.answer(200, {"access_token": TOKEN})
        return self.administer("POST", path, {}, json.loads(self.body() or "null"))

    def do_PUT(self):
        path = self.path.removeprefix(BASE)
        return self.administer("PUT", path, {}, json.loads(self.body() or "null"))

    def administer(self, method, path, query, body):
        own = f"/admin/realms/{REALM}/"
        if path == own[:-1]:
            path = own
        if not path.startswith(own):
            return self.answer(404, {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {})
        state, parts = load(), path.removeprefix(own).split("/")
        headers = "browserSecurityHeaders"
        match method, parts:
            case "GET", [""]:
                return self.answer(200, {"realm": REALM, headers: state.get(headers, {})})
            case "PUT", [""]:
                save(state | {headers: body[headers]})
                return self.answer(204)
            case "GET", ["client-policies", "policies"]:
                return self.answer(200, {"policies": state.get("policies", [])})
            case "PUT", ["client-policies", "policies"]:
                save(state | {"policies": body["policies"]})
                return self.answer(204)
            case "GET", ["users", "count"]:
                return self.answer(200, len(state["users"]))
            case "GET", ["users"]:
                return self.answer(200, [user for user in state["users"] if user["username"] == query["username"]])
            case "POST", ["users"]:
                if any(user["username"] == body["username"] for user in state["users"]):
                    return self.answer(409, {"errorMessage": "User exists with same username"})
                if len(body["credentials"][0]["value"]) < 8:
                    return self.answer(400, {
                        "error": "invalidPasswordMinLengthMessage",
                        "error_description": "Invalid password: minimum length 8.",
                    })
                state["users"].append(body)
                save(state)
                return self.answer(201, None, f"http://x{BASE}{own}users/{ID}99")
            case "GET", ["groups"]:
                found = [(at, name) for at, name in enumerate(state["groups"]) if name == query["search"]]
                return self.answer(200, [{"id": f"{ID}{at:02}", "name": name} for at, name in found])
            case "POST", ["groups"]:
                state["groups"].append(body["name"])
                save(state)
                return self.answer(201, None, f"http://x{BASE}{own}groups/{ID}{len(state['groups']) - 1:02}")
            case "GET", ["groups", group, "role-mappings"]:
                roles = [{"name": name} for name in state["roles"].get(f"groups/{group}", [])]
                return self.answer(200, {"clientMappings": {"realm-management": {"mappings": roles}}} if roles else {})
            case "GET", ["groups", group, "members"]:
                path = "/" + state["groups"][int(group[-2:])]
                return self.answer(200, [user for user in state["users"] if path in user.get("groups", [])])
            case "GET", ["clients"]:
                return self.answer(200, [{"id": f"{ID}88", "clientId": query["clientId"]}])
            case "GET", ["clients", client, "roles", role]:
                return self.answer(200, {"id": f"{ID}77", "name": role})
            case "POST", [kind, one, "role-mappings", "clients", client]:
                state["roles"].setdefault(f"{kind}/{one}", []).extend(role["name"] for role in body)
                save(state)
                return self.answer(204)
        return self.answer(404, {})


ThreadingHTTPServer(("127.0.0.1", int(os.environ["KC_HTTP_PORT"])), Keycloak).serve_forever()
