/**
 * The only data elements that are ever looked at (PS3.6); all others are passed over while parsing. Identifiers of
 * patients, studies, series and instances are turned into keyed hashes at once.
 */
export const tags = {
  // what it is
  sopClass: 0x0008_0016,
  modality: 0x0008_0060,
  manufacturer: 0x0008_0070,
  model: 0x0008_1090,
  burnedIn: 0x0028_0301,
  // to be hashed
  instance: 0x0008_0018,
  patient: 0x0010_0020,
  study: 0x0020_000d,
  series: 0x0020_000e,
  // pixels
  samplesPerPixel: 0x0028_0002,
  photometric: 0x0028_0004,
  planar: 0x0028_0006,
  frames: 0x0028_0008,
  rows: 0x0028_0010,
  columns: 0x0028_0011,
  bitsAllocated: 0x0028_0100,
  bitsStored: 0x0028_0101,
  highBit: 0x0028_0102,
  signed: 0x0028_0103,
  padding: 0x0028_0120,
  paddingLimit: 0x0028_0121,
  // values to shades
  windowCenter: 0x0028_1050,
  windowWidth: 0x0028_1051,
  windowFunction: 0x0028_1056,
  intercept: 0x0028_1052,
  slope: 0x0028_1053,
  modalityTable: 0x0028_3000,
  voiTable: 0x0028_3010,
  // colours
  redDescriptor: 0x0028_1101,
  greenDescriptor: 0x0028_1102,
  blueDescriptor: 0x0028_1103,
  redTable: 0x0028_1201,
  greenTable: 0x0028_1202,
  blueTable: 0x0028_1203,
  redSegments: 0x0028_1221,
  greenSegments: 0x0028_1222,
  blueSegments: 0x0028_1223,
  // place
  imagerSpacing: 0x0018_1164,
  scannedSpacing: 0x0018_2010,
  sliceThickness: 0x0018_0050,
  sliceSpacing: 0x0018_0088,
  instanceNumber: 0x0020_0013,
  position: 0x0020_0032,
  orientation: 0x0020_0037,
  pixelSpacing: 0x0028_0030,
  // frames of enhanced objects and slides
  organization: 0x0020_9311,
  imageType: 0x0008_0008,
  matrixColumns: 0x0048_0006,
  matrixRows: 0x0048_0007,
  sharedGroups: 0x5200_9229,
  frameGroups: 0x5200_9230,
} as const;

export const keptTags: ReadonlySet<number> = new Set(Object.values(tags));

/** Elements inside the items of the sequences above. */
export const itemTags = {
  tableDescriptor: 0x0028_3002,
  tableData: 0x0028_3006,
  pixelMeasures: 0x0028_9110,
  planePosition: 0x0020_9113,
  planeOrientation: 0x0020_9116,
  frameVoi: 0x0028_9132,
  valueTransformation: 0x0028_9145,
  slidePosition: 0x0048_021a,
  slideColumn: 0x0048_021e,
  slideRow: 0x0048_021f,
} as const;

/** Group 7FE0, with which the pixels begin. */
export const pixelTags = {
  first: 0x7fe0_0001,
  extendedOffsets: 0x7fe0_0001,
  extendedLengths: 0x7fe0_0002,
  floatPixels: 0x7fe0_0008,
  doublePixels: 0x7fe0_0009,
  pixels: 0x7fe0_0010,
} as const;
