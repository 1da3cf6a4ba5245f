"""What can go wrong, one small class per failure.

Every text says what failed, with which value, and what to do next, because it is shown to a person as it is.
"""

from __future__ import annotations


class S2DashError(Exception):
    """Base of every failure this package raises on purpose."""


class SceneError(S2DashError):
    """A scene cannot be read or makes no sense."""


class NotARasterError(SceneError):
    """The file is not a raster that GDAL can read, or it is empty or truncated."""


class SceneNotFoundError(SceneError):
    """There is nothing at the location given."""


class MissingCRSError(SceneError):
    """The raster does not say where on Earth it lies."""


class UnnamedBandsError(SceneError):
    """The raster does not say which band is which, and no mapping was given."""


class DuplicateBandsError(SceneError):
    """Two bands or files claim to be the same Sentinel-2 band."""


class TooFewBandsError(SceneError):
    """Fewer Sentinel-2 bands than the method needs."""


class NoValidPixelsError(SceneError):
    """Nothing is left after no-data and clouds are masked."""


class GridMismatchError(S2DashError):
    """Two rasters that must share a grid do not."""


class FeatureError(S2DashError):
    """An index or texture cannot be computed from the bands there are."""


class SampleError(S2DashError):
    """No sample of pixels can be drawn as asked: its size or its seed is out of range."""


class ClusteringError(S2DashError):
    """The pixels cannot be clustered as asked."""


class TooFewDistinctPixelsError(ClusteringError):
    """K is larger than the number of distinct pixels."""


class ModelMismatchError(ClusteringError):
    """A fitted model is applied to features it was not fitted on."""


class ModelFileError(ClusteringError):
    """A file holds no fitted model that can be read."""


class EditError(ClusteringError):
    """A cluster map cannot be changed as asked."""


class WeightsError(ClusteringError):
    """The weights of a pretrained network are missing, damaged or cannot be fetched."""


class SchemeError(S2DashError):
    """A class scheme, or a map between two, is unknown or broken."""


class AnnotationError(S2DashError):
    """An annotator is unknown or could not answer."""


class ProviderError(AnnotationError):
    """A call to a vision-language model brought no reply."""

    def __init__(self, text: str, *, again: bool = False, after_s: float | None = None, fatal: bool = False) -> None:
        super().__init__(text)
        self.again = again
        """Whether the same call may succeed later: too many calls, a fault of the service, a lost connection."""
        self.after_s = after_s
        """Seconds the service asks to wait; None where it does not say."""
        self.fatal = fatal
        """Whether every other call will fail too: no key, a refused key, an unknown model."""


class MissingKeyError(ProviderError):
    """A provider needs a key and none was given."""


class CatalogueError(S2DashError):
    """The catalogue of models cannot be read, or does not have an entry."""


class BudgetError(S2DashError):
    """Asking would cost more than the person allows."""


class LegendError(S2DashError):
    """A cluster or class is named that the legend does not hold."""


class ReferenceMapError(S2DashError):
    """A reference map cannot be compared with the land-cover map."""


class NoOverlapError(ReferenceMapError):
    """The reference does not overlap the scene, or shares no valid pixel with it."""


class StoreError(S2DashError):
    """The workspace cannot be read or written."""


class UnsafeNameError(StoreError):
    """A name that would leave the workspace, or that the file system cannot hold."""


class OutputError(S2DashError):
    """A result cannot be written."""


class OutputBusyError(OutputError):
    """Another run is writing to the same folder."""


class SchedulerError(S2DashError):
    """A dask scheduler or its workers cannot do the work."""


class TooLargeError(S2DashError):
    """What was asked does not fit in memory; the text holds the numbers and the way out."""


class Cancelled(S2DashError):  # noqa: N818 - not a failure, the person's wish
    """The person stopped the work."""


class AreaError(S2DashError):
    """An area of interest is no area, lies outside the Earth, or cannot be used with the scene."""


class AreaEstimateError(S2DashError):
    """A sample from which areas cannot be estimated."""


class CorrectionError(S2DashError):
    """An area or a point of a map cannot be set, drawn or read as asked."""


class NotAllowedError(S2DashError):
    """A person may look at a workspace but not write to it."""


class SignInError(S2DashError):
    """Sign-in is configured in a way that does not work."""


class ImageryError(S2DashError):
    """Imagery cannot be searched for or fetched: the catalogue, the network, or the request."""


class NoImageryError(ImageryError):
    """A catalogue holds no image for the area and the dates, or none that shows the ground."""
