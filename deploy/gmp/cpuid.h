/* What GMP 6.3's mpn/x86_64/fat/fat.c is told of the processor it runs on.

   It chooses by a list of family and model numbers that ends in 2021. A processor that is not in it gets the plainest code,
   without mulx and adx, which takes a third longer for what Quorate does. And where the list has Broadwell and Skylake, it
   looks for BMI2 in what it last read, which is leaf 0x80000001 and not leaf 7, and finds it nowhere.

   So an Intel or AMD processor that has BMI2 and ADX, and is newer than the list, is told as Skylake or Zen, whose code needs
   nothing else; and BMI2 is told where fat.c looks for it. A processor without them is told as it is.

   Included before every C file of GMP (deploy/gmp/config.site). Only fat.c calls __gmpn_cpuid. */

long __gmpn_cpuid (char [12], int);

enum { LEAF_MODEL = 1, LEAF_FEATURES = 7, LEAF_EXTENDED = (int) 0x80000001 };
enum { BMI2_BYTE = 1, BMI2 = 1 << 0, ADX_BYTE = 2, ADX = 1 << 3 };
enum { SKYLAKE = 0x506e3, ZEN = 0x800f11 };

static inline int
quorate_is_new (long fms, int intel)
{
  int family = ((fms >> 8) & 0xf) + ((fms >> 20) & 0xff);
  int model = ((fms >> 4) & 0xf) + ((fms >> 12) & 0xf0);
  if (!intel)
    return family > 0x19;
  if (family != 6)
    return family > 15;
  switch (model)
    {
    /* Broadwell and Skylake have their own lines in the list. */
    case 0x3d: case 0x47: case 0x4f: case 0x56:
    case 0x4e: case 0x55: case 0x5e: case 0x8e: case 0x9e:
      return 0;
    default:
      /* Models before Broadwell have no ADX, and small ones without BMI2 none of this. */
      return 1;
    }
}

static inline long
quorate_cpuid (char dst[12], int leaf)
{
  char vendor[12], features[12];
  long fms = __gmpn_cpuid (dst, leaf);
  int bmi2, intel, amd;
  if (leaf != LEAF_MODEL && leaf != LEAF_EXTENDED)
    return fms;
  if (__gmpn_cpuid (vendor, 0) < LEAF_FEATURES)
    return fms;
  __gmpn_cpuid (features, LEAF_FEATURES);
  bmi2 = (features[BMI2_BYTE] & BMI2) != 0;
  if (leaf == LEAF_EXTENDED)
    {
      if (bmi2)
        dst[BMI2_BYTE] |= BMI2;
      return fms;
    }
  intel = vendor[0] == 'G' && vendor[4] == 'i' && vendor[8] == 'n';
  amd = vendor[0] == 'A' && vendor[4] == 'e' && vendor[8] == 'c';
  if (bmi2 && (features[ADX_BYTE] & ADX) && (intel || amd) && quorate_is_new (fms, intel))
    return intel ? SKYLAKE : ZEN;
  return fms;
}

#define __gmpn_cpuid quorate_cpuid
