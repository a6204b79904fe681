"""Whether deep features of the lenticulostriate regions say something: cohorts, cross-validated."""
