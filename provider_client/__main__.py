import sys

from provider_client.cli import main

sys.exit(main())
