"""Signs in to the MCP server at an address and calls its tools. The person approves at once."""
import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata

ADDRESS, SECRET = sys.argv[1], sys.argv[2]
BACK = "http://127.0.0.1:9/callback"
METADATA = {"redirect_uris": [BACK], "client_name": "test", "token_endpoint_auth_method": "client_secret_basic"}


class Storage:
    """The client is registered at the issuer already."""

    tokens = None
    info = OAuthClientInformationFull(client_id="appliance", client_secret=SECRET, **METADATA)

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.info

    async def set_client_info(self, info):
        self.info = info


class Person:
    """Opens the page of the issuer, which approves and sends the browser back."""

    back = None

    async def open(self, url):
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url)
            self.back = parse_qs(urlsplit(answer.headers["location"]).query)

    async def come_back(self):
        one = {name: values[0] for name, values in self.back.items()}
        return AuthorizationCodeResult(**{name: one[name] for name in ("code", "state", "iss") if name in one})


async def main():
    person = Person()
    auth = OAuthClientProvider(
        ADDRESS, OAuthClientMetadata(**METADATA), Storage(), person.open, person.come_back
    )
    async with httpx2.AsyncClient(auth=auth) as http:
        async with streamable_http_client(ADDRESS, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                total = await session.call_tool("add", {"a": 19, "b": 23})
                asks = await session.call_tool("who", {})
                print("sum", total.content[0].text, "asked by", asks.content[0].text)


asyncio.run(main())
