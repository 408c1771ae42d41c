"""Names of people and places to make up customers and staff from."""

from __future__ import annotations

from random import Random

FIRST = (
    "Ada Anna Antoine Aoife Björn Carlos Chloé Claire Daniel David Dörte Elena Emma Eva François George Grace Hans "
    "Ines Ivan Jack James Jan João John José Julia Jürgen Karin Katarzyna Laura Léa Linda Luís Łukasz Maria Mark "
    "Martin Mary Mateo Michael Nora Noël Olga Oscar Patricia Paul Peter René Robert Sara Søren Sofía Susan Thomas "
    "Tomáš Ursula Vera Victor William Yara Zoë"
).split()
LAST = (
    "Andersen Baker Bauer Brown Carter Castro Clark Costa Davis Dubois Evans Ferrari Fischer García Gomez Gray Green "
    "Hall Hansen Harris Hill Horák Jackson Johnson Jones Keller King Kowalski Larsen Lee Lefèvre Lewis Lopez Marín "
    "Martin Meyer Miller Moore Müller Muñoz Nelson Novák Núñez O'Brien Olsen Parker Pérez Petrov Phillips Ricci Rossi "
    "Roux Schäfer Schmidt Scott Silva Smith Sørensen Strauß Taylor Turner Walker Weber White Wilson Wójcik Young"
).split()
REGIONS = ("North", "South", "East", "West")
COMPANIES = "Aster Beacon Cedar Delta Ember Fjord Granit Harbor Indigo Juniper Kestrel Lumen".split()
COUNTRIES = ("US", "CA", "DE", "FR", "NO", "ES")


def person(random: Random) -> str:
    """First and last name."""
    return f"{random.choice(FIRST)} {random.choice(LAST)}"
