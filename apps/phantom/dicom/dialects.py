"""How each vendor names its series and pulse sequences.

ImageType and SequenceName follow public headers of Siemens VE, Philips R5, GE and enhanced
objects; where no sample was seen (Philips SWIp, GE maps) the words are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.phantom.dicom.scan import Component, Contrast, PulseSequence, VendorStyle

_C = Contrast


@dataclass(frozen=True, slots=True)
class Dialect:
    """Words of one vendor: equipment, series descriptions, ImageType per contrast."""

    manufacturer: str
    model: str
    software: str
    descriptions: dict[Contrast, str]
    image_types: dict[Contrast, str]
    phase_type: str
    phase_description: str | None = None

    def image_type(self, contrast: Contrast, component: Component) -> tuple[str, ...]:
        """Value of ImageType (0008,0008)."""
        is_phase = component is Component.PHASE
        return tuple((self.phase_type if is_phase else self.image_types[contrast]).split("\\"))

    def describe(self, contrast: Contrast, component: Component = Component.MAGNITUDE) -> str:
        """Value of SeriesDescription (0008,103E)."""
        if contrast is _C.GRE and component is Component.PHASE and self.phase_description:
            return self.phase_description
        return self.descriptions[contrast]


_MAGNITUDE = "ORIGINAL\\PRIMARY\\M\\ND\\NORM"
_FFE, _SE = "ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", "ORIGINAL\\PRIMARY\\M_SE\\M\\SE"
_OTHER = "ORIGINAL\\PRIMARY\\OTHER"

_SIEMENS = Dialect(
    "SIEMENS", "Prisma_fit", "syngo MR E11",
    {
        _C.GRE: "Mag_Images", _C.SWI: "SWI_Images", _C.MIP: "mIP_Images(SW)", _C.QSM: "QSM_Images",
        _C.T2W: "t2_tse_tra", _C.T1W: "t1_mprage_p2_iso", _C.FA: "ep2d_diff_mddw_FA",
        _C.MD: "ep2d_diff_mddw_ADC", _C.DWI: "ep2d_diff_mddw", _C.CBF: "relCBF",
        _C.ASL: "pcasl_3d_tra", _C.LOCALIZER: "localizer", _C.FIELD_MAP: "gre_field_mapping",
        _C.B0_MAP: "gre_field_mapping",
    },
    {
        _C.GRE: _MAGNITUDE, _C.SWI: "ORIGINAL\\PRIMARY\\M\\SWI\\ND\\NORM",
        _C.MIP: "ORIGINAL\\PRIMARY\\M\\MNIP\\ND\\NORM", _C.QSM: "DERIVED\\PRIMARY\\M\\QSM\\ND",
        _C.T2W: _MAGNITUDE, _C.T1W: _MAGNITUDE,
        _C.FA: "DERIVED\\PRIMARY\\DIFFUSION\\FA\\ND\\NORM",
        _C.MD: "DERIVED\\PRIMARY\\DIFFUSION\\ADC\\ND\\NORM",
        _C.DWI: "ORIGINAL\\PRIMARY\\DIFFUSION\\NONE\\ND\\NORM",
        _C.CBF: "DERIVED\\PRIMARY\\ASL\\RELCBF\\ND\\NORM\\TTEST",
        _C.ASL: "ORIGINAL\\PRIMARY\\ASL\\NONE\\ND\\NORM",
        _C.LOCALIZER: _MAGNITUDE, _C.FIELD_MAP: _MAGNITUDE, _C.B0_MAP: "ORIGINAL\\PRIMARY\\P\\ND",
    },
    "ORIGINAL\\PRIMARY\\P\\ND", "Pha_Images",
)

_PHILIPS = Dialect(
    "Philips", "Ingenia Elition X", "5.7.1",
    {
        _C.GRE: "3D_mFFE_T2star", _C.SWI: "SWIp", _C.MIP: "SWIp minIP", _C.QSM: "QSM",
        _C.T2W: "T2W_TSE", _C.T1W: "sT1W_3D_TFE", _C.FA: "FA - DTI_S2MB2",
        _C.MD: "ADC - DTI_S2MB2", _C.DWI: "DTI_S2MB2", _C.CBF: "3DpCASL",
        _C.ASL: "SOURCE - 3DpCASL", _C.LOCALIZER: "Survey", _C.FIELD_MAP: "Field Mapping",
        _C.B0_MAP: "Field Mapping",
    },
    {
        _C.GRE: _FFE, _C.SWI: _FFE,
        _C.MIP: "DERIVED\\SECONDARY\\PROJECTION IMAGE\\M\\FFE",
        _C.QSM: "DERIVED\\SECONDARY\\QSM\\QSM\\FFE", _C.T2W: _SE, _C.T1W: _FFE,
        _C.FA: "ORIGINAL\\PRIMARY\\FA_SE\\FA\\SE", _C.MD: "ORIGINAL\\PRIMARY\\ADC_SE\\ADC\\SE",
        _C.DWI: _SE, _C.CBF: "ORIGINAL\\PRIMARY\\PERFUSION_FFE\\PERFUSION\\FFE", _C.ASL: _SE,
        _C.LOCALIZER: _FFE, _C.FIELD_MAP: _FFE, _C.B0_MAP: "ORIGINAL\\PRIMARY\\PHASE MAP\\P\\FFE",
    },
    "ORIGINAL\\PRIMARY\\PHASE MAP\\P\\FFE",
)

_GE = Dialect(
    "GE MEDICAL SYSTEMS", "SIGNA Premier", "29",
    {
        _C.GRE: "Ax 3D mGRE", _C.SWI: "Ax SWAN", _C.MIP: "Ax SWAN Min IP", _C.QSM: "QSM",
        _C.T2W: "Ax T2 FSE", _C.T1W: "T1 BRAVO", _C.FA: "Fractional Aniso.",
        _C.MD: "Average DC", _C.DWI: "Ax DTI", _C.CBF: "CBF: 3D ASL", _C.ASL: "3D ASL",
        _C.LOCALIZER: "3-pl loc", _C.FIELD_MAP: "Field map GRE", _C.B0_MAP: "B0 map (Hz)",
    },
    {
        **dict.fromkeys((_C.GRE, _C.SWI, _C.T2W, _C.T1W, _C.DWI, _C.ASL, _C.LOCALIZER,
                         _C.FIELD_MAP, _C.B0_MAP), _OTHER),
        _C.MIP: "DERIVED\\SECONDARY\\REFORMATTED\\MIN IP", _C.QSM: "DERIVED\\SECONDARY\\OTHER",
        _C.FA: "DERIVED\\SECONDARY\\FA", _C.MD: "DERIVED\\SECONDARY\\ADC",
        _C.CBF: "DERIVED\\SECONDARY\\CBF",
    },
    _OTHER,
)

_ENHANCED = Dialect(
    "Philips", "Ingenia Elition X", "5.7.1",
    _PHILIPS.descriptions,
    {
        _C.GRE: "ORIGINAL\\PRIMARY\\T2_STAR\\NONE", _C.SWI: "DERIVED\\PRIMARY\\SWI\\NONE",
        _C.MIP: "DERIVED\\PRIMARY\\SWI\\MINIMUM", _C.QSM: "DERIVED\\PRIMARY\\SWI\\QSM",
        _C.T2W: "ORIGINAL\\PRIMARY\\T2\\NONE", _C.T1W: "ORIGINAL\\PRIMARY\\T1\\NONE",
        _C.FA: "DERIVED\\PRIMARY\\DIFFUSION\\FA", _C.MD: "DERIVED\\PRIMARY\\DIFFUSION\\ADC",
        _C.DWI: "ORIGINAL\\PRIMARY\\DIFFUSION\\NONE", _C.CBF: "DERIVED\\PRIMARY\\ASL\\RCBF",
        _C.ASL: "ORIGINAL\\PRIMARY\\ASL\\NONE", _C.LOCALIZER: "ORIGINAL\\PRIMARY\\LOCALIZER\\NONE",
        _C.FIELD_MAP: "ORIGINAL\\PRIMARY\\T1\\NONE", _C.B0_MAP: "ORIGINAL\\PRIMARY\\T1\\NONE",
    },
    "ORIGINAL\\PRIMARY\\T2_STAR\\NONE",
)

DIALECTS: dict[VendorStyle, Dialect] = {
    VendorStyle.SIEMENS: _SIEMENS,
    VendorStyle.PHILIPS: _PHILIPS,
    VendorStyle.GE: _GE,
    VendorStyle.ENHANCED: _ENHANCED,
}

_GRE_SEQUENCE = PulseSequence(("GR",), ("SP",), "3D", "*fl3d{echoes}r", 30.0, 20.0, 15.0)
_DIFFUSION = PulseSequence(("EP",), ("SK", "SP"), "2D", "*ep_b{b}", 5000.0, 72.0, 90.0, 63)
_ASL_SEQUENCE = PulseSequence(("SE",), ("SK",), "3D", "tgse", 4250.0, 9.0, 90.0, 112)

SEQUENCES: dict[Contrast, PulseSequence] = {
    _C.GRE: _GRE_SEQUENCE,
    _C.SWI: PulseSequence(("GR",), ("SP",), "3D", "*swi3d{echoes}r", 30.0, 20.0, 15.0),
    _C.MIP: PulseSequence(("GR",), ("SP",), "3D", "*swi3d{echoes}r", 30.0, 20.0, 15.0),
    _C.QSM: _GRE_SEQUENCE,
    _C.T2W: PulseSequence(("SE",), ("SK", "SP"), "2D", "*tse2d1_15", 6000.0, 100.0, 150.0, 15),
    _C.T1W: PulseSequence(
        ("GR", "IR"), ("SK", "SP", "MP"), "3D", "*tfl3d1_16ns", 2300.0, 2.98, 9.0, 1, 900.0
    ),
    _C.FA: _DIFFUSION,
    _C.MD: _DIFFUSION,
    _C.DWI: _DIFFUSION,
    _C.CBF: _ASL_SEQUENCE,
    _C.ASL: _ASL_SEQUENCE,
    _C.LOCALIZER: PulseSequence(("GR",), ("SP",), "2D", "*fl2d1", 8.6, 4.0, 20.0),
    _C.FIELD_MAP: PulseSequence(("GR",), ("SP",), "2D", "*fm2d2r", 400.0, 4.92, 60.0),
    _C.B0_MAP: PulseSequence(("GR",), ("SP",), "2D", "*fm2d2r", 400.0, 7.38, 60.0),
}
