"""What cfn-lint finds when it is given the folder: it loads each file by itself, outside of any package."""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path

NAME = "cfn_lint_appfabric_ingestion_destination"  # whatever the folder is called
FOLDER = Path(__file__).parent

if NAME not in sys.modules:
    loader = SourceFileLoader(NAME, str(FOLDER / "__init__.py"))
    spec = ModuleSpec(NAME, loader, is_package=True)
    spec.submodule_search_locations = [str(FOLDER)]
    sys.modules[NAME] = module_from_spec(spec)
    loader.exec_module(sys.modules[NAME])

from cfn_lint_appfabric_ingestion_destination import *  # noqa: E402, F403
