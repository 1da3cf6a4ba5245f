"""Which clustering methods there are, and what can be chosen for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from s2dash.clustering.model import FittedModel
from s2dash.errors import ClusteringError

Value = int | float | str | None


@dataclass(frozen=True)
class Option:
    """Something a person may choose for a method."""

    name: str
    """Keyword of the fit, and name on the command line."""
    title: str
    """What to call it."""
    default: Value
    """What is chosen at first; None means that the method proposes one."""
    kind: type[int] | type[float] | type[str] = int
    """Type of its values."""
    least: float | None = None
    """Smallest value allowed."""
    most: float | None = None
    """Largest value allowed."""
    choices: tuple[Value, ...] = ()
    """The only values allowed, if they are few."""
    help: str = ""
    """A sentence on what it does, with the unit."""

    def check(self, value: Any) -> Value:
        """The value in its own type.

        Raises:
            ClusteringError: If it is of another type, not finite, or out of range.
        """
        if value is None or (self.default is None and value == ""):
            if self.default is None:
                return None
            raise ClusteringError(f"The setting {self.name!r} ({self.title}) needs a value.")
        try:
            number = self.kind(value)
            fits = self.kind is str or (number == float(value) and float(value) - float(value) == 0)
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            raise ClusteringError(
                f"The setting {self.name!r} ({self.title}) must be {_KINDS[self.kind]}, not {value!r}."
            )
        if self.choices and number not in self.choices:
            listed = ", ".join(str(choice) for choice in self.choices)
            raise ClusteringError(f"The setting {self.name!r} ({self.title}) is one of {listed}, not {value}.")
        if isinstance(number, int | float) and not self._in_range(number):
            raise ClusteringError(f"The setting {self.name!r} ({self.title}) must be {self._range()}, not {value}.")
        return number

    def _in_range(self, number: float) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)

    def _range(self) -> str:
        if self.most is None:
            return f"{self.least:g} or more"
        return f"at most {self.most:g}" if self.least is None else f"between {self.least:g} and {self.most:g}"


_KINDS = {int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Method:
    """A clustering method."""

    name: str
    """Name on the command line."""
    title: str
    """What people call it."""
    summary: str
    """One sentence: how it groups, and when to choose it."""
    place: str
    """Where its fit is, `module:function`; imported when first used."""
    model: str
    """Where its fitted model is, `module:class`."""
    options: tuple[Option, ...] = ()
    """What can be chosen besides K and seed."""
    takes_k: bool = True
    """Whether the person chooses the number of clusters; False where the data decides."""
    source: str = ""
    """Where the method is published."""

    @property
    def fit(self) -> Callable[..., FittedModel]:
        """`fit(features, *, k, seed, sample, progress, **options) -> FittedModel`."""
        found: Callable[..., FittedModel] = _imported(self.place)
        return found

    @property
    def model_class(self) -> type[FittedModel]:
        """The class of its fitted models."""
        found: type[FittedModel] = _imported(self.model)
        return found

    def check_options(self, chosen: Mapping[str, Any]) -> dict[str, Value]:
        """All options, those not chosen at their defaults.

        Raises:
            ClusteringError: If one is unknown or out of range.
        """
        known = {option.name: option for option in self.options}
        strange = [name for name in chosen if name not in known]
        if strange:
            offered = ", ".join(known) or "none"
            raise ClusteringError(f"{self.title} has no setting {strange[0]!r}. Its settings: {offered}.")
        return {name: option.check(chosen.get(name, option.default)) for name, option in known.items()}


def _imported(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)


PRODUCTS = {
    "membership": "probability of the cluster a pixel is given to, 0-1",
    "reconstruction_error": "how badly a pixel is reconstructed, in standard deviations of the features",
}
"""Maps that some models make besides the clusters, and what their numbers are."""

_ROOM = "s2dash.clustering"
_PATCH = Option(
    "patch",
    "Patch",
    1,
    choices=(1, 3, 5),
    help="Side of the square that each pixel is judged by, pixels; 1 is the pixel alone.",
)
_LATENT = Option("latent", "Latent size", 8, least=1, most=64, help="Numbers each pixel is squeezed into.")
_SEGMENT = Option(
    "segment_size", "Segment size", 64, least=9, most=10_000, help="Mean size of a segment, pixels (64 are 0.64 ha)."
)
_SHARE = Option(
    "min_share",
    "Least share of a dense spot",
    0.001,
    kind=float,
    least=1e-6,
    most=0.5,
    help="Share of the scene's pixels that must lie within reach of a pixel for its spot to count as dense.",
)

_METHODS = (
    Method(
        "kmeans",
        "K-Means",
        "Groups pixels around K typical spectra; fast, and the one to start with.",
        f"{_ROOM}.kmeans:fit_kmeans",
        f"{_ROOM}.kmeans:KMeansModel",
    ),
    Method(
        "gmm",
        "Gaussian mixture",
        "Like K-Means, but clusters may be stretched and of unlike size, and each pixel gets a probability.",
        f"{_ROOM}.gmm:fit_gmm",
        f"{_ROOM}.gmm:GaussianMixtureModel",
    ),
    Method(
        "dbscan",
        "DBSCAN",
        "Finds dense groups of any shape and sets odd pixels apart as noise; the data decides how many.",
        f"{_ROOM}.dbscan:fit_dbscan",
        f"{_ROOM}.dbscan:DBSCANModel",
        (
            Option("eps", "Reach (eps)", None, kind=float, least=1e-6, help="In standard deviations; empty: proposed."),
            _SHARE,
            Option("components", "Principal components", 3, least=0, most=20, help="0 looks at all features as is."),
        ),
        takes_k=False,
        source="Ester et al. 1996",
    ),
    Method(
        "hdbscan",
        "HDBSCAN",
        "DBSCAN at every reach at once: dense groups of unlike density, and noise; no reach to choose.",
        f"{_ROOM}.hdbscan:fit_hdbscan",
        f"{_ROOM}.hdbscan:HDBSCANModel",
        (
            Option(
                "min_share",
                "Least share of a cluster",
                0.005,
                kind=float,
                least=1e-5,
                most=0.5,
                help="Smallest cluster, as a share of the scene's pixels.",
            ),
            Option("components", "Principal components", 3, least=0, most=20, help="0 looks at all features as is."),
        ),
        takes_k=False,
        source="Campello, Moulavi and Sander 2013",
    ),
    Method(
        "autoencoder",
        "Autoencoder",
        "A small network learns to describe pixels or patches in a few numbers; K-Means groups those.",
        f"{_ROOM}.autoencoder:fit_autoencoder",
        f"{_ROOM}.autoencoder:AutoencoderModel",
        (_PATCH, _LATENT),
        source="Hinton and Salakhutdinov 2006",
    ),
    Method(
        "deep",
        "Deep clustering",
        "A convolutional network trains itself on this one scene by contrast; sees texture, and learns classes.",
        f"{_ROOM}.deep:fit_deep",
        f"{_ROOM}.deep:DeepModel",
        (
            Option("width", "Channels", 64, least=8, most=256, help="Channels of each convolution."),
            Option("epochs", "Epochs", 2, least=1, most=20, help="Passes over the training patches."),
            Option("inner_steps", "Steps a patch", 50, least=1, most=500, help="Gradient steps on each batch."),
        ),
        source="Saha et al. 2022",
    ),
    Method(
        "slic",
        "Superpixels (SLIC)",
        "Cuts the scene into small even segments first and groups those: a map without salt and pepper.",
        f"{_ROOM}.slic:fit_slic",
        f"{_ROOM}.slic:SLICModel",
        (
            _SEGMENT,
            Option(
                "compactness",
                "Compactness",
                0.6,
                kind=float,
                least=1e-4,
                most=100.0,
                help="Higher: squarer segments; lower: they follow the spectra. In standard deviations.",
            ),
        ),
        source="Achanta et al. 2012",
    ),
    Method(
        "sam",
        "Segment Anything (SAM)",
        "A pretrained network outlines objects, fields above all; those are grouped. Needs weights.",
        f"{_ROOM}.sam:fit_sam",
        f"{_ROOM}.sam:SAMModel",
        (
            Option(
                "weights",
                "Weights",
                "facebook/sam-vit-base",
                kind=str,
                help="A folder with the weights, or a name on the Hugging Face hub.",
            ),
            Option("points", "Points a side", 16, least=2, most=64, help="Prompts a side of a 512 × 512 block."),
            Option("download", "Fetch weights", 0, choices=(0, 1), help="1: fetch them once if they are not here."),
        ),
        source="Kirillov et al. 2023",
    ),
    Method(
        "unet",
        "U-Net",
        "An encoder-decoder learns the scene by filling in hidden parts; what it has learnt is grouped.",
        f"{_ROOM}.unet:fit_unet",
        f"{_ROOM}.unet:UNetModel",
        (Option("width", "Channels", 16, least=4, most=128, help="Channels of the first stage; doubled below."),),
        source="Ronneberger et al. 2015",
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _METHODS}
"""All clustering methods by their names on the command line."""


def method_entry(name: str) -> Method:
    """The method of that name.

    Raises:
        ClusteringError: If there is none.
    """
    if name not in METHODS:
        raise ClusteringError(f"There is no clustering method {name!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[name]
