"""python -m manual_mlp.diagnose FILE.py --convention cs231n | dd2424: what is wrong with this network?

To be run, not imported: an imported module would take the place of the function of its name, manual_mlp.diagnose.
"""

import sys

from manual_mlp.adapters.command import main

if __name__ == "__main__":
    sys.exit(main())
