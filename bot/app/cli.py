"""`planton …`: the command line, in French. Each command loads and checks only what it uses."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import NoReturn

import psycopg

from bot.app.say import complain, say, typeset
from bot.core.errors import Explained
from bot.settings import Settings

ROLES = ("gateway", "worker", "sender", "engine", "console", "trainer", "monitor")
NOISES = ("accents", "fautes", "majuscules", "sms", "tous")
PEOPLE = ("agent", "validator", "trainer", "administrator", "auditor")

_MODULES = {"eval": "evaluate"}  # each other command is the module of its name

_FRENCH = {
    "usage: ": "utilisation : ",
    "positional arguments": "arguments",
    "options": "options",
    "show this help message and exit": "affiche cette aide",
    "the following arguments are required: %s": "il manque : %s",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s : %(message)s",
    "invalid choice: %(value)r (choose from %(choices)s)": "« %(value)s » n’est pas possible (choix : %(choices)s)",
    "invalid %(type)s value: %(value)r": "« %(value)s » ne convient pas",
    "unrecognized arguments: %s": "en trop : %s",
    "expected one argument": "il manque une valeur",
    "expected at least one argument": "il manque au moins une valeur",
    "not allowed with argument %s": "ne va pas avec %s",
    "ignored explicit argument %r": "ne prend pas de valeur (%r)",
    "ambiguous option: %(option)s could match %(matches)s": "« %(option)s » est ambigu : %(matches)s",
}


def _translate(text: str) -> str:
    return _FRENCH.get(text, text)


def _translate_plural(one: str, many: str, count: int) -> str:
    return _FRENCH.get(one if count == 1 else many, f"il faut {count} valeurs")


# argparse asks gettext for its sentences through these two names.
setattr(argparse, "_", _translate)  # noqa: B010
setattr(argparse, "ngettext", _translate_plural)  # noqa: B010


class Parser(argparse.ArgumentParser):
    """argparse that speaks French and keeps an error to one line."""

    def error(self, message: str) -> NoReturn:
        """One line, then exit 2."""
        plain = message.replace("'", "")
        say(f"{plain}. Aide : {self.prog} --help")
        sys.exit(2)

    def format_help(self) -> str:
        """The help with French spaces."""
        return typeset(super().format_help())


def _moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"« {value} » n’est pas une date (exemple : 2026-01-15T02:30)") from None


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"« {value} » n’est pas un jour (exemple : 2026-01-15)") from None


def _count(value: str) -> int:
    plain = value.replace(" ", "").replace("\u202f", "")
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 8 and int(plain) > 0):
        raise argparse.ArgumentTypeError(f"« {value} » n’est pas un nombre entier de 1 à 99 999 999")
    return int(plain)


def _pause(value: str) -> float:
    try:
        seconds = float(value.replace(",", "."))
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"« {value} » n’est pas une durée de 0,5 à 3600 secondes")
    return seconds


def parser() -> Parser:
    """Every command with its arguments."""
    top = Parser(prog="planton", description="Planton : l’accueil de la police nationale sur Messenger et Instagram.")
    commands = top.add_subparsers(dest="command", metavar="COMMANDE", title="commandes", parser_class=Parser)

    run = commands.add_parser("run", help="lance Planton ici", description="Lance Planton, ou quelques rôles.")
    run.add_argument("roles", nargs="*", metavar="RÔLE", choices=ROLES, help=f"{', '.join(ROLES)} ; sinon tous")

    commands.add_parser("migrate", help="met à jour le schéma de la base et les droits de ses rôles").description = (
        "Met à jour, avec l’adresse du propriétaire de la base (DATABASE_URL), son schéma et les droits de chaque rôle. "
        "Les services n’ont alors besoin que de leur propre rôle. Peut être lancé pendant que Planton tourne."
    )

    roles = commands.add_parser("roles", help="vérifie les droits des rôles PostgreSQL, un par service")
    roles.description = (
        "Dit si chaque rôle PostgreSQL a les droits qu’il lui faut et aucun autre. Code de sortie : 0 si oui, 1 sinon."
    )
    roles.add_argument(
        "--sql", action="store_true", help="écrit ce que l’administrateur de PostgreSQL exécute pour les créer"
    )

    demo = commands.add_parser("demo", help="lance Planton avec le bac à sable, sans compte Meta")
    demo.description = "Lance tout ici, avec deux téléphones simulés ; aucun compte Meta n’est nécessaire."

    seed = commands.add_parser("seed", help="remplit la base de la démonstration de conversations inventées")
    seed.description = (
        "Remplit une base vide de conversations inventées, pour essayer la console ou la mesurer. Sans réglage, c’est la base "
        "de la démonstration (planton demo)."
    )
    for name, default, what in (
        ("conversations", 100_000, "conversations"),
        ("messages", 1_000_000, "messages en tout"),
    ):
        seed.add_argument(f"--{name}", type=_count, default=default, metavar="N", help=f"{what} ({default} par défaut)")
    seed.add_argument(
        "--graine", type=_count, default=1, metavar="N", help="la même graine invente les mêmes conversations"
    )
    seed.add_argument(
        "--forcer",
        action="store_true",
        help="accepte une base qui n’est pas celle d’une démonstration, ou qui n’est pas vide",
    )

    train = commands.add_parser("train", help="entraîne le modèle si ses entrées ont changé")
    train.description = "Entraîne le modèle à partir de config.yml, domain.yml et data/."
    train.add_argument("--force", action="store_true", help="entraîne même si rien n’a changé")

    model = commands.add_parser("model", help="fait changer de modèle les moteurs de cette machine, sans coupure")
    model.description = (
        "Fait charger un modèle aux moteurs de cette machine, l’un après l’autre, pendant qu’ils répondent. À lancer sur chaque "
        "machine de moteurs qui n’est pas celle de l’atelier, après y avoir copié models/ (docs/passage-a-l-echelle.md)."
    )
    model.add_argument("name", nargs="?", metavar="MODÈLE", help="son nom dans models/ ; sinon le plus récent")

    route = commands.add_parser("route", help="dit ce que Planton répondrait à chaque ligne d’un fichier")
    route.description = (
        "Lit des messages (un par ligne, UTF-8) et écrit un objet JSON par ligne : text, intent, confidence, route, category, "
        "priority, degree, reply, question (celle du catalogue à laquelle il est répondu, ou null), offers (intitulés des boutons)."
    )
    route.add_argument("file", nargs="?", metavar="FICHIER", help="sinon l’entrée standard")
    route.add_argument(
        "--modele", metavar="ARCHIVE", help="un autre modèle que celui en service, par exemple un candidat"
    )
    route.add_argument("--at", type=_moment, metavar="DATE", help="moment simulé, par exemple 2026-01-15T02:30")

    evaluate = commands.add_parser("eval", help="mesure Planton sur un jeu de messages annotés")
    evaluate.description = (
        "Mesure Planton sur un fichier TSV : text, intent, second (facultatif), route ; ou text, script, second : à qui parle la "
        "réponse ; ou text, questions : à quelle question du catalogue elle répond."
    )
    evaluate.add_argument("file", metavar="FICHIER", help="fichier TSV")
    evaluate.add_argument("--reponses", action="store_true", help="le fichier est un jeu de réponses (text, questions)")
    evaluate.add_argument("--json", action="store_true", help="résultat en JSON")
    evaluate.add_argument("--dossier", metavar="DOSSIER", help="y écrit aussi JSON, liste des erreurs et graphiques")
    evaluate.add_argument(
        "--bruit", choices=NOISES, metavar="BRUIT", help=f"mesure aussi sous bruit : {', '.join(NOISES)}"
    )

    check = commands.add_parser(
        "check", help="vérifie exemples, réponses, règles ; « links » : les adresses des réponses"
    )
    check.description = (
        "Relit les fichiers que les formateurs écrivent : chaque ligne à revoir, avec son remède ; les erreurs d’abord. "
        "Code de sortie : 1 s’il y a une erreur, 0 s’il n’y a que des avertissements. "
        "Avec « links », demande à chaque adresse de domain.yml si elle répond encore ; il faut un réseau."
    )
    check.add_argument("what", metavar="QUOI", nargs="?", choices=("links",), help="links")
    check.add_argument("--json", action="store_true", help="résultat en JSON")
    check.add_argument("--sans-rasa", action="store_true", help="sans la vérification de Rasa, qui prend dix secondes")
    check.add_argument("--tout", action="store_true", help="tous les avertissements, même nombreux du même genre")

    compare = commands.add_parser("compare", help="entraîne un candidat à part et le compare au modèle en service")
    compare.description = (
        "Entraîne les fichiers présents à part, dans models/candidates, et compare ce candidat au modèle en service : jeux "
        "annotés, messages confirmés du dernier mois, validation croisée. Ne change rien au service."
    )
    compare.add_argument("--json", action="store_true", help="la comparaison entière en JSON")
    compare.add_argument("--frugal", action="store_true", help="moins de mémoire, plus de temps")

    users = commands.add_parser("users", help="gère les comptes de la console")
    actions = users.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser)
    add = actions.add_parser("add", help="crée un compte")
    add.add_argument("name", metavar="NOM", help="nom de connexion")
    add.add_argument("--role", required=True, choices=PEOPLE, help=", ".join(PEOPLE), metavar="RÔLE")
    add.add_argument("--password-stdin", action="store_true", required=True, help="lit le mot de passe sur l’entrée")

    recount = commands.add_parser("recount", help="recompte les chiffres de la page « Pilotage »")
    recount.description = (
        "Recompte les heures déjà comptées, par exemple après une restauration. Les heures dont des messages ont été effacés "
        "depuis gardent leurs chiffres."
    )
    recount.add_argument("--du", type=_day, metavar="DATE", help="premier jour, par exemple 2026-01-15 ; sinon tous")
    recount.add_argument("--au", type=_day, metavar="DATE", help="dernier jour, compris")

    purge = commands.add_parser("purge", help="efface ce dont la durée de conservation est passée")
    purge.description = (
        "Efface ou pseudonymise ce dont la durée de conservation est passée (réglages RETENTION_*, docs/rgpd.md), par petits "
        "lots qui ne ralentissent pas le service. Planton le fait aussi chaque nuit."
    )
    instead = purge.add_mutually_exclusive_group()
    instead.add_argument("--simuler", action="store_true", help="dit ce qui partirait, sans rien effacer")
    instead.add_argument(
        "--verifier", action="store_true", help="relit le registre des effacements et dit s’il est intact"
    )

    person = commands.add_parser("person", help="droits d’une personne : lui donner ses données, ou les effacer")
    rights = person.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser)
    export = rights.add_parser("export", help="écrit tout ce que Planton garde d’elle, déchiffré")
    export.add_argument("--vers", metavar="FICHIER", help="écrit FICHIER.json et FICHIER.html, lisibles par vous seul")
    export.add_argument("--afficher", action="store_true", help="accepte de l’afficher dans un terminal")
    erase = rights.add_parser("erase", help="efface tout d’elle, partout")
    erase.add_argument("--simuler", action="store_true", help="dit ce qui partirait, sans rien effacer")
    erase.add_argument("--oui", action="store_true", help="sans demander de confirmation")
    erase.add_argument(
        "--malgre",
        action="store_true",
        help="même si une demande est ouverte ou suivie par un agent (jamais sous conservation légale)",
    )
    for one in (export, erase):
        one.add_argument("id", metavar="ID", nargs="?", help="identifiant de la personne, propre à la page")
        one.add_argument(
            "--conversation", type=_count, metavar="N", help="sinon : numéro d’une de ses conversations dans la console"
        )
        one.add_argument(
            "--plateforme", choices=("messenger", "instagram"), help="messenger ou instagram ; sinon toutes"
        )
        one.add_argument("--compte", metavar="COMPTE", help="compte de la page ; sinon tous")

    backup = commands.add_parser("backup", help="sauvegarde la base, chiffrée, pendant que Planton tourne")
    backup.description = (
        "Écrit une copie de la base (format pg_dump), chiffrée pour les clés de BACKUP_RECIPIENTS, et son inventaire. Planton "
        "continue de tourner. Les clés et jetons n’y sont pas : gardez-les ailleurs (docs/exploitation.md, « Sauvegarder »)."
    )
    backup.add_argument(
        "--vers", metavar="CHEMIN", help="dossier ou fichier ; sinon BACKUP_DIR, sinon VAR_DIR/sauvegardes"
    )
    backup.add_argument("--garder", type=_count, metavar="N", help="ne garde dans ce dossier que les N plus récentes")
    backup.add_argument("--identite", metavar="FICHIER", help="clé qui ouvre : relit la sauvegarde entière après coup")
    backup.add_argument("--en-clair", action="store_true", help="sans chiffrer ; à éviter")

    restore = commands.add_parser("restore", help="remet une sauvegarde dans une base vide")
    restore.description = (
        "Vérifie une sauvegarde, la remet dans une base vide, la met au schéma d’aujourd’hui, efface de nouveau ce qui l’avait "
        "été depuis, puis montre l’état de l’installation. Planton doit être arrêté. Un échec laisse la base comme elle était."
    )
    restore.add_argument("file", metavar="FICHIER", nargs="?", help="la sauvegarde ; son inventaire est à côté")
    restore.add_argument("--identite", metavar="FICHIER", help="clé qui l’ouvre (obligatoire avec age)")
    restore.add_argument("--oui", action="store_true", help="ne demande rien")
    restore.add_argument("--remplacer", action="store_true", help="efface d’abord ce que la base contient")
    restore.add_argument(
        "--sans-inventaire", action="store_true", help="accepte une sauvegarde dont l’inventaire est perdu"
    )
    restore.add_argument(
        "--terminer", action="store_true", help="finit une restauration coupée après la remise en place"
    )

    catchup = commands.add_parser("catchup", help="reprend les messages que Meta n’a pas transmis pendant une panne")
    catchup.description = (
        "Parcourt les conversations chez Meta (deux appels par seconde), et prend une seule fois les messages jamais reçus. "
        "L’expéditeur le fait de lui-même au démarrage et tous les quarts d’heure. "
        "Code de sortie : 0 si tout a été parcouru, 1 sinon."
    )
    catchup.add_argument(
        "--depuis",
        type=_moment,
        metavar="DATE",
        help="remonte jusque-là, par exemple 2026-01-15T02:30 ; sinon là où tout était reçu, sept jours au plus",
    )
    catchup.add_argument("--simuler", action="store_true", help="dit ce qui serait repris, n’enregistre rien")

    meta = commands.add_parser("meta", help="vérifie ou rétablit l’abonnement aux webhooks de Meta")
    asks = meta.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser)
    asks.add_parser("status", help="demande à Meta si l’abonnement est complet")
    asks.add_parser("subscribe", help="abonne de nouveau chaque page à tous ses champs")
    resume = asks.add_parser("resume", help="essaie de nouveau les envois d’un compte arrêté")
    resume.add_argument(
        "--compte", metavar="NUMÉRO", help="ce compte seulement (par défaut, tous ceux qui sont arrêtés)"
    )

    alert = commands.add_parser("alert", help="essaie les alertes")
    alert.description = "Envoie un message d’essai à chaque adresse de ALERT_URLS, et dit si elle l’a pris."
    tries = alert.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser)
    tries.add_parser("test", help="envoie un message d’essai")

    keys = commands.add_parser("keys", help="passe à une nouvelle clé de chiffrement, sans arrêt")
    turns = keys.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, parser_class=Parser)
    rotate = turns.add_parser("rotate", help="chiffre tout avec la nouvelle clé, par petits lots")
    rotate.description = (
        "Chiffre de nouveau ce qui est enregistré avec la première clé de DATA_KEY, par petits lots, pendant que Planton tourne. "
        "Interrompue, la commande reprend où elle en était. Elle dit à la fin que l’ancienne clé peut être retirée."
    )
    bind = turns.add_parser("bind", help="lie chaque valeur chiffrée à sa ligne, par petits lots")
    bind.description = (
        "Chiffre de nouveau, par petits lots et pendant que Planton tourne, ce qu’une version d’avant a enregistré : chaque valeur "
        "ne s’ouvre plus que dans sa ligne. À faire une fois, quand tous les services de toutes les machines sont à jour : ceux "
        "d’avant ne lisent pas ces valeurs. Interrompue, la commande reprend où elle en était."
    )
    bind.add_argument(
        "--abandonner", action="store_true", help="même si des valeurs d’avant ne s’ouvrent avec aucune clé"
    )
    bind.add_argument(
        "--tardives",
        action="store_true",
        help="après la fin, lie aussi ce qu’un service figé ou coupé de la base a encore écrit sous l’ancienne forme",
    )
    turns.add_parser("status", help="dit quelles clés et quels secrets servent encore")

    live = commands.add_parser("top", help="montre ce qui se passe, dans un terminal : file, débits, délais, plafonds")
    live.description = (
        "Montre à chaque instant la file, les débits, les délais, les plafonds, les services et les alertes. Lit la base sans "
        "rien y changer, et les mesures que cette machine joint. Touches : q quitter, espace figer, ? aide."
    )
    live.add_argument("--once", action="store_true", help="écrit une image, puis s’arrête")
    live.add_argument("--json", action="store_true", help="la même en JSON")
    live.add_argument(
        "--toutes-les", type=_pause, default=2.0, metavar="SECONDES", help="temps entre deux lectures (2 par défaut)"
    )

    doctor = commands.add_parser("doctor", help="vérifie l’installation et le compte des messages")
    doctor.description = "Vérifie l’installation ; chaque problème est donné avec son remède."
    doctor.add_argument("--json", action="store_true", help="résultat en JSON")
    return top


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code."""
    if arguments[:1] in (["_role"], ["_migrate"], ["_merge-nlu"]):
        return _inner(arguments)
    top = parser()
    parsed = top.parse_args(list(arguments))
    if parsed.command is None:
        top.print_help()
        return 2
    try:
        return _dispatch(parsed)
    except Explained as error:
        complain(error)
        return 2
    except psycopg.OperationalError:
        say("la base de données ne répond pas ou a coupé la connexion. Vérifiez avec : planton doctor")
        return 2
    except KeyboardInterrupt:  # every command writes in transactions: what was not kept is as before
        say("interrompu ; rien n’est perdu, relancez.")
        return 130
    except BrokenPipeError:
        # Who read us has left; without this, Python complains again while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(parsed: argparse.Namespace) -> int:
    """Load only the module of the command: `route` needs no database driver, `doctor` no model."""
    if parsed.command == "run":
        from bot.app import launcher

        return launcher.run(Settings(), parsed.roles)
    name = "links" if parsed.command == "check" and parsed.what else _MODULES.get(parsed.command, parsed.command)
    return int(importlib.import_module(f"bot.app.{name}").main(parsed))


def _inner(arguments: Sequence[str]) -> int:
    """What the launcher and git start; not for people, hence not in the help."""
    if arguments[0] == "_role" and len(arguments) == 2:
        from bot.app import role

        return role.main(arguments[1])
    if arguments[0] == "_merge-nlu" and len(arguments) == 4:
        from bot.app import merge_nlu

        return merge_nlu.main(arguments[1:])
    from bot.app.launcher import migrate_or_wait

    settings = Settings()
    url = settings.database_url
    try:
        return 0 if url is not None and migrate_or_wait(url, settings.part_urls) else 1
    except Explained as error:  # the schema is newer, or its tables are busy: the launcher tries again
        complain(error)
        return 1
