"""The rules that app.yaml starts from. The first rule that matches a group decides.

Tokens and names are those of Siemens, Philips and GE exports. TE x B0 >= 27 ms T is our own choice:
18 ms at 1.5 T, 9 ms at 3 T, just under the shortest protocols in use for microbleeds (GRE 1.5 T
with TE 20 ms), and above field maps in all but name; 2 mm pixels likewise.
"""

from __future__ import annotations

from typing import Any

_SUSCEPTIBLE = {
    "echo_field_ms_t": {"min": 27.0},
    "pixel_mm": {"max": 2.0},
    "description_not": "tof|angio|(^|[^a-z])mra([^a-z]|$)",
}
_NOT_T2W = "t2 ?\\*|t2star|flair|dark.?fluid|hemo|swi|swan"

DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    # What is no source image at all.
    {
        "because": "{modality} object ({sop_class}), not an MR image",
        "any_of": [{"modality_not": ["MR"]}],
    },
    {
        "because": "{sop_class}: raw data, report, presentation or capture, not a source image",
        "any_of": [
            {"image": False},
            {"sop_class": "Raw Data|Spectroscopy|Presentation|Secondary Capture|Segmentation"},
        ],
    },
    {"because": "derived colour map", "any_of": [{"colour": True}]},
    {
        "because": "result of an earlier run of this software",
        "any_of": [{"manufacturer": "^lentiform$"}],
    },
    {
        "because": "localiser",
        "any_of": [
            {"image_type": ["LOCALIZER"]},
            {"description": "locali[sz]er|scout|survey|(^|[^a-z])loc([^a-z]|$)"},
        ],
    },
    {
        "because": "projection or reformat of another series (mIP, MIP, MPR)",
        "any_of": [
            {
                "image_type": [
                    "MPR", "CSA MPR", "CSAPARALLEL", "PROJECTION IMAGE", "REFORMATTED", "MNIP",
                    "MIN IP", "MINIMUM", "MIP", "MAX IP", "MAXIMUM",
                ]
            },
            {"description": "(^|[^a-z])m(in|n|ax)?[ _-]?ips?([^a-z]|$)"},
        ],
    },
    # Field maps share scanning sequence and M/P tokens with SWI.
    {
        "because": (
            "GRE field map (longest echo {echo_ms} ms at {field_t} T, {pixel_mm} mm pixels): made "
            "to map B0, no source for SWI or QSM"
        ),
        "any_of": [
            {"image_type": ["FIELD_MAP", "FIELD MAP", "B0 MAP", "B0"]},
            {"description": "field.?map|b0.?map|(^|[^a-z])fmap|phase.?diff"},
            {"sequence": "fm[23]d"},
        ],
    },
    # Susceptibility, most processed first.
    {
        "role": "qsm",
        "because": "susceptibility map",
        "any_of": [
            {"image_type": ["QSM", "CHI", "CHIMAP"], "component": ["magnitude", "real"]},
            {
                "image_type": ["DERIVED"],
                "description": "(^|[^a-z])(qsm|chi|chimap|suscept\\w*[ _-]?map\\w*|"
                "quantitative[ _-]suscept\\w*)([^a-z]|$)",
                "component": ["magnitude", "real"],
            },
        ],
    },
    {
        "role": "gre_phase",
        "because": "gradient-echo phase, longest echo {echo_ms} ms at {field_t} T",
        "any_of": [
            {
                "component": ["phase"],
                "scanning": ["GR", "RM"],
                "scanning_not": ["EP"],
                **_SUSCEPTIBLE,
            },
            {
                "component": ["phase"],
                "scanning": ["EP"],
                "acquisition": "3D",
                "volumes": {"max": 8},
                **_SUSCEPTIBLE,
            },
        ],
    },
    {
        "role": "swi",
        "because": "processed susceptibility-weighted image (SWI in the image type)",
        "any_of": [
            {"image_type": ["SWI", "SWIP"], "component": ["magnitude"]},
            {"description": "(^|[^a-z])swip([^a-z]|$)", "component": ["magnitude"]},
            {
                "manufacturer": "^GE",
                "description": "swan",
                "component": ["magnitude"],
                "echo_field_ms_t": {"min": 27.0},
            },
        ],
    },
    # Diffusion and perfusion maps.
    {
        "role": "fa",
        "because": "the scanner's fractional anisotropy map",
        "any_of": [
            {"image_type": ["FA", "FA_SE", "FRACTIONAL_ANISOTROPY"]},
            {
                "image_type": ["DERIVED"],
                "description": "(^|[^a-z])(fa|frac\\w*[ _.]?aniso\\w*)([^a-z]|$)",
                "scanning_not": ["GR"],
            },
        ],
    },
    {
        "because": "derived diffusion map that no step uses",
        "any_of": [
            {
                "image_type": [
                    "ADC", "ADC_SE", "EADC", "TRACEW", "TENSOR", "TENSOR_B0", "ADC_UNSPECIFIED",
                    "MD", "AVDC", "EXPONENTIAL",
                ]
            },
            {"image_type": ["DERIVED"], "description": "(^|[^a-z])(e?adc|tracew?|md)([^a-z]|$)"},
        ],
    },
    {
        "role": "cbf",
        "because": "cerebral blood flow map",
        "any_of": [
            {"image_type": ["CBF", "RCBF", "RELCBF"], "component": ["magnitude", "real"]},
            {"image_type": ["DERIVED"], "description": "(^|[^a-z])(rel|r)?cbf([^a-z]|$)"},
        ],
    },
    {
        "role": "cbf",
        "because": "perfusion-weighted map (label minus control), used as relative CBF",
        "any_of": [
            {"image_type": ["PERFUSION_FFE", "SUBTRACTION"], "asl_context": False},
            {"image_type_all": ["DERIVED", "TTEST"]},
            {"image_type": ["DERIVED"], "description": "perfusion.?weighted"},
        ],
    },
    {
        "because": "perfusion map that no step uses",
        "any_of": [
            {"image_type": ["CBV", "RCBV", "MTT", "TTP", "TMAX", "ATT", "BAT"]},
            {"image_type": ["DERIVED"], "contrast": ["PERFUSION"]},
        ],
    },
    # Raw series.
    {
        "role": "asl",
        "because": "arterial spin labelling series",
        "any_of": [
            {"asl_context": True, "image_type_not": ["DERIVED"], "component": ["magnitude"]},
            {"image_type": ["ASL"], "image_type_not": ["DERIVED"], "component": ["magnitude"]},
            {
                "description": "(^|[^a-z])(3?d?p?c?asl|pasl|arterial.?spin)",
                "image_type_not": ["DERIVED"],
                "component": ["magnitude"],
            },
        ],
    },
    {
        "role": "dwi",
        "because": "diffusion series with {directions} directions, b up to {b_value} s/mm2",
        "any_of": [
            {
                "directions": {"min": 6},
                "b_value": {"min": 300},
                "image_type_not": ["DERIVED"],
                "component": ["magnitude"],
            }
        ],
    },
    {
        "role": "dwi",
        "because": "diffusion series with {directions} directions: too few for a tensor, its b = 0 "
        "image carries the scanner's FA map into registration",
        "any_of": [
            {
                "description": "(^|[^a-z])(dti|dwi|diff)",
                "b_value": {"min": 0},
                "image_type_not": ["DERIVED"],
                "component": ["magnitude"],
                "scanning_not": ["GR"],
            },
            {
                "contrast": ["DIFFUSION"],
                "image_type_not": ["DERIVED"],
                "component": ["magnitude"],
            },
            {
                "image_type": ["DIFFUSION"],
                "image_type_not": ["DERIVED"],
                "component": ["magnitude"],
            },
        ],
    },
    {
        "because": "diffusion series with {directions} directions: a tensor needs at least 6",
        "any_of": [
            {"b_value": {"min": 1}},
            {"contrast": ["DIFFUSION"]},
            {"image_type": ["DIFFUSION"]},
        ],
    },
    {
        "role": "gre_magnitude",
        "because": "gradient-echo magnitude, longest echo {echo_ms} ms at {field_t} T",
        "any_of": [
            {
                "component": ["magnitude"],
                "scanning": ["GR", "RM"],
                "scanning_not": ["EP", "SE", "IR"],
                **_SUSCEPTIBLE,
            },
            {
                "component": ["magnitude"],
                "scanning": ["EP"],
                "scanning_not": ["SE"],
                "acquisition": "3D",
                "volumes": {"max": 8},
                **_SUSCEPTIBLE,
            },
        ],
    },
    {
        "because": "echo-planar series (functional, or a distortion reference)",
        "any_of": [{"scanning": ["EP"]}],
    },
    {
        "because": "inversion image of MP2RAGE, not T1-weighted by itself",
        "any_of": [{"description": "inv[ _-]?[12]([^0-9]|$)"}],
    },
    {
        "role": "t1w",
        "because": "T1-weighted",
        "any_of": [
            {
                "description": "(^|[^a-z])t1|mp2?rage|(^|[^a-z])tfl|bravo|fspgr|t1tfe",
                "description_not": "tof|angio|dynamic|dce|(^|[^a-z])map([^a-z]|$)",
                "component": ["magnitude"],
                "echo_time_ms": {"max": 40},
            },
            {"sequence": "tfl3d", "component": ["magnitude"], "echo_time_ms": {"max": 10}},
            {
                "scanning": ["GR"],
                "component": ["magnitude"],
                "acquisition": "3D",
                "inversion_time_ms": {"min": 300, "max": 1400},
                "echo_time_ms": {"max": 10},
            },
        ],
    },
    {
        "because": "FLAIR, which no step uses",
        "any_of": [
            {"description": "flair|dark.?fluid"},
            {"scanning": ["SE"], "inversion_time_ms": {"min": 1500}},
        ],
    },
    {
        "role": "t2w",
        "because": "T2-weighted spin echo, echo {echo_ms} ms",
        "any_of": [
            {
                "scanning": ["SE", "RM"],
                "description_not": _NOT_T2W,
                "component": ["magnitude"],
                "echo_time_ms": {"min": 60},
                "repetition_time_ms": {"min": 1500},
            }
        ],
    },
    {
        "because": (
            "gradient echo whose longest echo of {echo_ms} ms at {field_t} T, with {pixel_mm} mm "
            "pixels, is too short or too coarse for SWI (TE x B0 >= 27 ms T and pixels <= 2 mm "
            "wanted)"
        ),
        "any_of": [{"scanning": ["GR", "RM"]}],
    },
)
