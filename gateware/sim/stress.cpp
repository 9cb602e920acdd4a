#include "check.hpp"
void checkStress(const Options&, Tally&) {}
void measureScaling(const Options&, Tally&) {}
