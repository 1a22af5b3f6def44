"""The network on time series against torch's functions in float64 and the formula of its parameters."""

import pytest
import torch
import torch.nn.functional as F

from dctnet.coefficients import Coefficients
from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.exported import exported
from dctnet.models.summary import summary
from dctnet.models.zoo import MODELS, create_model, list_models, options_of
from dctnet.nn.band_limited import BandLimitedConv1d
from dctnet.training.classifier import Classifier


def small(name: str = "fcn", **options) -> torch.nn.Module:
    """A network of three classes on two channels, in float64, whose running statistics have moved."""
    torch.manual_seed(0)
    model = create_model(name, 3, **{"channels": 2, "width": 0.125} | options).double()
    with torch.no_grad():
        for _ in range(3):
            model(3 * torch.randn(4, 2, 30, dtype=torch.float64) + 1)
    return model


@pytest.mark.parametrize(("classes", "channels", "width"), [(2, 1, 1), (6, 1, 0.5), (5, 3, 2)])
def test_parameters_by_the_formula(classes, channels, width):
    a, b, c = (int(width * full) for full in (128, 256, 128))
    convolutions = 8 * channels * a + 5 * a * b + 3 * b * c
    for name in list_models("series"):
        model = create_model(name, classes, channels=channels, width=width)
        assert parameters(model) == convolutions + 2 * (a + b + c) + (c + 1) * classes


@pytest.mark.parametrize("length", [1, 7, 30])
@pytest.mark.parametrize("name", ["fcn", "bandlimited_fcn"])
def test_the_network_is_torchs_functions_one_after_the_other(name, length):
    model = small(name).eval()
    x = series = torch.randn(4, 2, length, dtype=torch.float64, requires_grad=True)
    state, weights = model.state_dict(), []
    for place, kernel in ((1, 8), (5, 5), (9, 3)):
        weights.append(state[f"body.{place}.weight"].clone().requires_grad_())
        norm = [state[f"body.{place + 1}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        # torch's own "same": (k - 1) // 2 before, the rest behind
        x = F.conv1d(F.pad(x, ((kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2)), weights[-1])
        x = F.relu(F.batch_norm(x, *norm))
    expected = F.linear(x.mean(2), state["fc.weight"], state["fc.bias"])
    found = model(series)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(found.logsumexp(1).sum(), [series, *(model.body[i].weight for i in (1, 5, 9))])
    theirs = torch.autograd.grad(expected.logsumexp(1).sum(), [series, *weights])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_a_trained_network_is_tested_at_another_compression():
    """At compression c the convolutions drop c of their spectrum, and at 0 again nothing: the weights are the same."""
    plain, limited = (
        small().eval(),
        create_model("bandlimited_fcn", 3, channels=2, width=0.125, compression=0.5).double(),
    )
    limited.load_state_dict(plain.state_dict())
    limited.eval()
    x = torch.randn(4, 2, 50, dtype=torch.float64)
    layers = [layer for layer in limited.modules() if isinstance(layer, BandLimitedConv1d)]
    assert [layer.compression for layer in layers] == 3 * [0.5]
    error = {}
    for compression in (0.75, 0.5, 0.25, 0.0):
        for layer in layers:
            layer.compression = compression
        error[compression] = (limited(x) - plain(x)).norm() / plain(x).norm()
    assert error[0.0] < 1e-12 < 1e-3 < error[0.25] < error[0.5] < error[0.75]
    with pytest.raises(ValueError, match="compression"):
        create_model("bandlimited_fcn", compression=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, 1, 9), r"a tensor \(n, 2, length\); got \(2, 1, 9\)"),
        (torch.zeros(2, 9), r"got \(2, 9\)"),
        (Coefficients(*3 * (torch.zeros(1, 64, 2, 2),)), "got Coefficients"),
    ],
)
def test_what_are_no_series_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        small()(given)


def test_names_of_networks_on_series_stand_apart():
    assert list_models() == list_models("pictures") == list(MODELS)
    assert list_models("all") == list_models() + list_models("series")
    assert options_of("bandlimited_fcn") == ["channels", "width", "compression"]
    with pytest.raises(ValueError, match="kind is one of 'pictures', 'series', 'all'; got 'sound'"):
        list_models("sound")
    with pytest.raises(ValueError, match="fcn has no option block_size; its options are channels, width"):
        create_model("fcn", block_size=8)
    with pytest.raises(ValueError, match="did you mean fcn"):
        create_model("fcnn")
    with pytest.raises(ValueError, match="channels is a whole number at least 1; got 0"):
        create_model("fcn", channels=0)


@pytest.mark.parametrize("of_pictures", [multiply_adds, summary, exported])
def test_what_is_made_for_pictures_says_so(of_pictures):
    with pytest.raises(ValueError, match="FCN reads series, no pictures"):
        of_pictures(small())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "fcn"}, "fcn reads time series, and the data are pictures; take one of upsampling"),
        (
            {"network": "late_concat", "channels": 1},
            "late_concat reads pictures, and the data are time series; take one of fcn",
        ),
        ({"network": "fcn", "channels": 1, "mixup": 0.2}, "mixup and cutmix mix pictures"),
        (
            {"network": "fcn", "channels": 1, "options": {"channels": 2}},
            "channels of the network follows from the data",
        ),
        ({"network": "fcn", "channels": 1, "options": {"depth": 18}}, "fcn has no option depth"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValueError, match=message):
        Classifier(classes=["a", "b"], **settings)
