"""The vocabulary of financial documents: concepts in five languages, and words that carry no meaning."""

from __future__ import annotations


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


CONCEPTS: dict[str, str] = {
    "amount": "amount principal nennbetrag hochstbetrag hoofdsom montant plafond importo avalrahmen",
    "rent": "rent loyer canone huurprijs leaseprijs miete",
    "interest": "interest zins verzins interet tasso taux rente margin euribor sonia sofr",
    "signed": "sign unterzeichn firmat getekend dated",
    "ends": "matur expir endet ended ends end laufzeit fallig echeance scad eindig looptijd until",
    "starts": "start begin gaat",
    "notice": "notice kundig gekundig preavis preavviso disdetta opzeg frist cancel terminat resilie",
    "deposit": "deposit kaution waarborgsom depot",
    "deductible": "deductib selbstbehalt franchise eigen",
    "premium": "premium pramie prime premie",
    "covenant": "covenant leverage ratio finanzkennzahl kennzahl engagement solvency",
    "prepay": "prepay prepaid vorzeitig anticip estinzione vervroegd",
    "repair": "repair mainten instandhalt entretien manutenzione onderhoud",
    "law": "law laws recht droit legge governed",
    "security": "secured security sicherheit surete garanzie zekerhed zekerheid mortgage pledge",
    "sublet": "sublet sublease onderverhuur",
    "insured": "insured versicherungssumme verzekerd assure",
    "exclusion": "exclu ausschl",
    "flood": "flood uberschwemm",
    "revenue": "revenue sales umsatz turnover",
    "ebitda": "ebitda",
    "debt": "debt borrow",
    "dividend": "dividend",
    "outlook": "outlook ausblick expect forecast vooruitzicht",
    "risk": "risk risik risico rischi",
    "demand": "demand inanspruchnahme appel",
    "renew": "renew extend extension option verlanger",
    "fee": "fee provision commission",
    "default": "default",
    "test": "test tested",
    "growth": "grow grew rise rose increase",
    "purpose": "purpose finance objet",
    "party": "party parties parteien partijen parti vertragspart",
    "report": "reporting compliance certificate",
    "buy": "buy purchase achat",
    "pension": "pension",
    "customer": "customer",
}
"""Beginnings of words, by concept."""
WHOLE_WORDS = _set_of(
    "law laws end ends ended test tested eigen prime premie rente rent recht gaat until sales default"
)
"""Of those, the ones that must be the whole word."""
STOPWORDS = _set_of(
    """
    a an and any are as at be been before but by can could do does each for from had has have how i if in
    into is it its many may me more most much must my no not of on or our per please say says shall should so
    than that the their them then there these they this those to under was we what when where which while who
    whom whose why will with would you your about all also between one tell give many long high
    der die das den dem des ein eine einer eines und oder ist im in zu zum zur von vom mit auf für wie wer was
    wann darf hoch le la les un une des du de et ou est en au aux que qui quel quelle il di del di della dello
    e il lo gli het een van en is op aan met door
    """
)
GENERAL = _set_of(
    """
    loan lease leas agreement contract facility policy guarante document report annual compan group amend
    insur year period vertrag darlehen pret
    """
)
"""Stems that say which document is meant rather than what is asked about it."""
PARTIES = _set_of("tenant landlord borrower lender lesse lessor insurer guarantor beneficiary buyer seller")
"""Stems that tell one party from the other; they choose between sentences but are not what is asked."""
