"""An MCP server with two tools: a sum, and who asks."""
import sys

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings

server = MCPServer("tools")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def who(ctx: Context) -> str:
    """The user that the appliance names."""
    return ctx.headers.get("x-forwarded-user", "nobody")


if __name__ == "__main__":
    # The appliance checks the host.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.run(
        "streamable-http",
        port=int(sys.argv[1]),
        streamable_http_path=sys.argv[2],
        transport_security=security,
    )
