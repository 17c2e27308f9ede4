"""Addresses of the extensions and services that PDS and SCR use in their resources.

Belongs here: constants only. Source: pds.md 2.2 and 2.4, services.md 2.2 and 2.3. For the two
RelatedPerson extensions the sheet names a base on ``fhir.nhs.uk/R4``; the published schema and
recorded answers name ``fhir.hl7.org.uk``. Both are read, the published one is written.
"""

from __future__ import annotations

PDS_BASE = "https://api.service.nhs.uk/personal-demographics/FHIR/R4"
SCR_BASE = "https://api.service.nhs.uk/summary-care-record/FHIR/R4"

_UKCORE = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-"
_OLD_UKCORE = "https://fhir.nhs.uk/R4/StructureDefinition/Extension-UKCore-"

NUMBER_VERIFICATION = f"{_UKCORE}NHSNumberVerificationStatus"
NOMINATED_PHARMACY = f"{_UKCORE}NominatedPharmacy"
PREFERRED_DISPENSER = f"{_UKCORE}PreferredDispenserOrganization"
APPLIANCE_SUPPLIER = f"{_UKCORE}MedicalApplianceSupplier"
DEATH_NOTIFICATION = f"{_UKCORE}DeathNotificationStatus"
COMMUNICATION = f"{_UKCORE}NHSCommunication"
CONTACT_PREFERENCE = f"{_UKCORE}ContactPreference"
ADDRESS_KEY = f"{_UKCORE}AddressKey"
OTHER_CONTACT_SYSTEM = f"{_UKCORE}OtherContactSystem"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
REMOVAL = "https://fhir.nhs.uk/StructureDefinition/Extension-PDS-RemovalFromRegistration"
CONSENT = "https://hl7.org/fhir/R4/consent.html"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

CONTACT_RANK = f"{_UKCORE}ContactRank"
COPY_CORRESPONDENCE = f"{_UKCORE}CopyCorrespondenceIndicator"
OLD_CONTACT_RANK = f"{_OLD_UKCORE}ContactRank"
OLD_COPY_CORRESPONDENCE = f"{_OLD_UKCORE}CopyCorrespondenceIndicator"

SCR_UUID_SYSTEM = "https://fhir.nhs.uk/Id/nhsSCRUUID"
SCR_PERMISSION_SYSTEM = "https://fhir.nhs.uk/CodeSystem/SCR-ACSPermission"
SPINE_ERROR_SYSTEM = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"
SNOMED = "http://snomed.info/sct"
