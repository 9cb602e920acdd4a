#include "check.hpp"
void checkLockstep(const Options&, Tally&) {}
void checkStress(const Options&, Tally&) {}
void measureScaling(const Options&, Tally&) {}
