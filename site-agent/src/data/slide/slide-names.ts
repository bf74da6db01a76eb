/** Names of files that are, or lead to, whole slides. Of formats with several files, only the one that leads to the others. */
const slideName = /\.(?:svs|ndpi|mrxs|tiff?|vms|scn|bif|svslide|dcm)$/i;

export function hasSlideName(id: string): boolean {
  return slideName.test(id);
}

export function hasDicomName(id: string): boolean {
  return /\.dcm$/i.test(id);
}
