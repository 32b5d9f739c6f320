# Starts JupyterLab with the user that the appliance names in the header USER_HEADER.
import os, sys
from jupyter_server.auth import IdentityProvider, User
from jupyterlab.labapp import LabApp

class NamedUser(IdentityProvider):
    def get_user(self, handler):
        header = os.environ.get("USER_HEADER")
        if not header:
            return super().get_user(handler)
        name = handler.request.headers.get(header)
        return User(username=name) if name else None

# Terminals and `!pip` find the programs of the environment.
os.environ["PATH"] = os.path.join(sys.prefix, "bin") + os.pathsep + os.environ["PATH"]
LabApp.launch_instance(["--ServerApp.identity_provider_class=__main__.NamedUser", *sys.argv[1:]])
