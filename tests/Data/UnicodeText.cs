using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Data.Tests;

/// <summary>Generates text from all planes, with line breaks and control characters.</summary>
internal static class UnicodeText
{
    private static readonly Gen<Rune> Runes = Gen.Frequency(
        (4, Gen.Choose(0, 0x7F)), (2, Gen.Choose(0x80, 0x7FF)), (2, Gen.Choose(0x800, 0xD7FF)), (1, Gen.Choose(0xE000, 0xFFFF)),
        (2, Gen.Choose(0x10000, 0x10FFFF)))
        .Select(value => new Rune(value));

    public static Arbitrary<string> Texts { get; } =
        Runes.ListOf().Select(runes => string.Concat(runes)).ToArbitrary();
}
