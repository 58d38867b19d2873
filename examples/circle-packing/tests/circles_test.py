"""What the parts of the agent do. Numbers of its packing are not tested: they are to change."""
import math
import random
import unittest

import circles
import mutation

TEXT = '''STEP = 0.1


def key(x, y, border):
    return border


CENTRES = [
    (0.250000000, 0.250000000),
    (0.750000000, 0.750000000),
]
'''


class Circles(unittest.TestCase):
    def sound(self, centres, radii):
        for i, (x, y) in enumerate(centres):
            self.assertLessEqual(radii[i], min(x, y, 1 - x, 1 - y) + 1e-12)
            for j in range(i):
                self.assertLessEqual(radii[i] + radii[j], math.dist(centres[i], centres[j]) + 1e-12)

    def test_two_circles_touch_the_square(self):
        self.assertEqual(circles.radii([(0.25, 0.25), (0.75, 0.75)], lambda x, y, b: b), [0.25] * 2)

    def test_who_grows_first_takes_what_is_left(self):
        centres = [(0.5, 0.5), (0.6, 0.5), (0.9, 0.5)]
        radii = circles.radii(centres, lambda x, y, b: x)
        self.sound(centres, radii)
        self.assertAlmostEqual(radii[2], 0.1)

    def test_random_packings_are_sound(self):
        chance = random.Random(1)
        for _ in range(200):
            centres = [(chance.random(), chance.random()) for _ in range(26)]
            self.sound(centres, circles.radii(centres, lambda x, y, b: x * y - b))


class Mutations(unittest.TestCase):
    def test_the_source_is_read_and_written_alike(self):
        self.assertEqual(mutation.Genes(TEXT).render(), TEXT)

    def test_what_is_kept_is_no_worse_and_is_source(self):
        text, before, after = mutation.improve(TEXT, random.Random(2), 300)
        self.assertGreaterEqual(after, before)
        self.assertAlmostEqual(mutation.Genes(text).score(), after, places=7)
        compile(text, "packing.py", "exec")

    def test_a_crossing_has_circles_of_both_and_as_many_as_one(self):
        other = TEXT.replace("0.25", "0.10").replace("0.75", "0.90").replace("return border", "return x")
        met = set()
        for seed in range(40):
            text = mutation.crossed(TEXT, other, random.Random(seed))
            genes = mutation.Genes(text)
            self.assertEqual(len(genes.centres), 2)
            met.add((len(set(genes.centres) & set(mutation.Genes(other).centres)), genes.expression))
            self.assertEqual(mutation.crossed(TEXT, other, random.Random(seed)), text)
        self.assertEqual(met, {(1, "border"), (1, "x")})

    def test_what_is_no_packing_like_it_is_not_crossed(self):
        fewer = TEXT.replace("    (0.750000000, 0.750000000),\n", "")
        for other in (fewer, "", TEXT.replace("0.75", "three")):
            with self.assertRaises((AttributeError, TypeError, ValueError)):
                mutation.crossed(TEXT, other, random.Random(1))

    def test_the_same_seed_makes_the_same_change(self):
        changes = {mutation.improve(TEXT, random.Random(3), 100)[0] for _ in range(2)}
        self.assertEqual(len(changes), 1)

    def test_expressions_are_source_that_needs_no_import(self):
        chance = random.Random(4)
        for _ in range(200):
            eval(mutation.new_expression(chance), {"x": 0.1, "y": 0.2, "border": 0.1})

    def test_what_is_drawn_afresh_inherits_no_place(self):
        drawn = [mutation.Genes(mutation.afresh(TEXT, random.Random(seed))) for seed in (5, 6)]
        of_text = mutation.Genes(TEXT)
        self.assertEqual([len(genes.centres) for genes in drawn], [2, 2])
        self.assertFalse(set(drawn[0].centres) & set(drawn[1].centres + of_text.centres))


if __name__ == "__main__":
    unittest.main()
