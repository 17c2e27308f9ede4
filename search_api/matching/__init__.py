"""The matcher.

Belongs here: that a compiled form of these modules is taken where there is one. Does not belong here: anything else.
"""

from search_api import compiled

__path__ = compiled.first(__path__)
