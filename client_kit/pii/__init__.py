"""Personal data in answers before they leave: detectors, and what is done about their findings."""

from client_kit.pii.findings import Detector as Detector
from client_kit.pii.findings import Finding as Finding
from client_kit.pii.findings import masked as masked
from client_kit.pii.opening import open_detector as open_detector
