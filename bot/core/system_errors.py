"""What the operating system refused, in French."""

from __future__ import annotations

import errno
from collections.abc import Mapping

_FRENCH: Mapping[int, str] = {
    errno.ENOENT: "ce fichier ou dossier n’existe pas",
    errno.EACCES: "droits insuffisants",
    errno.EPERM: "opération non permise",
    errno.EISDIR: "c’est un dossier, pas un fichier",
    errno.ENOTDIR: "une partie du chemin n’est pas un dossier",
    errno.EEXIST: "un fichier de ce nom existe déjà",
    errno.ENOSPC: "le disque est plein",
    errno.EDQUOT: "le quota du disque est atteint",
    errno.EROFS: "ce disque est en lecture seule",
    errno.EIO: "le disque ne répond pas comme il faut",
    errno.ELOOP: "les liens de ce chemin tournent en rond",
    errno.ENAMETOOLONG: "ce nom est trop long",
    errno.EMFILE: "trop de fichiers sont ouverts",
    errno.ENFILE: "trop de fichiers sont ouverts",
    errno.ENOMEM: "la mémoire manque",
}


def reason(error: Exception) -> str:
    """Why a file was not read or written, for a parenthesis: French for the usual causes, else the system's own words."""
    if isinstance(error, UnicodeDecodeError):
        return "ce n’est pas du texte UTF-8"
    if not isinstance(error, OSError):
        return str(error)
    return _FRENCH.get(error.errno or 0) or error.strerror or type(error).__name__
