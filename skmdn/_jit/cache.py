# SPDX-License-Identifier: BSD-3-Clause
"""Numba's cache on disk, which may fail without stopping what is computed.

Numba lets every error through: of a full disk, of a folder that is no longer writable,
of an index or object file that was cut. The code can be compiled all the same.
"""

import warnings

_warned = False


def keep_on_disk(dispatcher, make_cache=None):
    """Cache a dispatcher's code on disk where that works; never stop because of it.

    Parameters
    ----------
    dispatcher : a function that Numba compiles
    make_cache : callable or None, default=None
        ``make_cache()`` returns its cache; None: the usual one.
    """
    try:
        if make_cache is None:
            dispatcher.enable_caching()
            cache = dispatcher._cache
        else:
            cache = make_cache()
    except AttributeError:  # A plain function (NUMBA_DISABLE_JIT), or another Numba.
        return
    except RuntimeError as error:
        cache = _NoCache(error)
    dispatcher._cache = _Guarded(cache)


class _NoCache:
    """Stands for the cache that there is no folder for."""

    cache_path = None

    def __init__(self, error):
        self._error = error

    def load_overload(self, sig, target_context):
        raise self._error

    def save_overload(self, sig, data):
        """Do nothing: loading has said it already."""

    def enable(self):
        """Do nothing."""

    disable = flush = enable


class _Guarded:
    """A cache without its errors: what cannot be loaded is compiled."""

    def __init__(self, cache):
        self._cache = cache

    def __getattr__(self, name):
        return getattr(self._cache, name)

    def load_overload(self, sig, target_context):
        """Return code from the disk; None if there is none to be had."""
        try:
            loaded = self._cache.load_overload(sig, target_context)
        except Exception as error:  # Unpickling what was cut may raise anything.
            _warn(error)
            return None
        # Two processes that compile at once may give their files the same name.
        if loaded is not None and tuple(loaded.signature.args) != tuple(sig):
            return None
        return loaded

    def save_overload(self, sig, data):
        """Keep code on disk; a damaged index is begun anew."""
        try:
            self._cache.save_overload(sig, data)
        except Exception:
            try:
                self._cache.flush()
                self._cache.save_overload(sig, data)
            except Exception as error:
                _warn(error)


def _warn(error):
    """Say once in a process why it compiles, and what to do about it."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"skmdn compiles its kernels, which takes some seconds, because the cache of "
        f"compiled code cannot be used ({type(error).__name__}: {error}). If this "
        f"comes back in every process, set the environment variable NUMBA_CACHE_DIR to "
        f"a folder that can be written to.",
        stacklevel=2,
    )
