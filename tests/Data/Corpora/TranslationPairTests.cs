using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class TranslationPairTests
{
    [Theory]
    [InlineData("File {0} not found.", "Datei {0} nicht gefunden.")]
    [InlineData("  Line one\r\nLine two ", "Zeile eins\nZeile zwei")]
    [InlineData("Stop", "停")]
    public void Translations_are_kept(string source, string target)
    {
        var pair = TranslationPair.Of("de", "key", source, target)!;
        Assert.Equal((source.Trim().ReplaceLineEndings("\n"), target), (pair.Source, pair.Target));
    }

    [Theory]
    [InlineData("{0}: {1:N2} %s $(Property)", "{0}: {1:N2} %s $(Property) Wort")]
    [InlineData("MSBuild", "MSBuild")]
    [InlineData("Build {0}:", "build {0} :")]
    [InlineData("Name", "")]
    [InlineData("", "Name")]
    [InlineData("1234.5", "1234,5")]
    [InlineData("Bell \a", "Glocke")]
    public void What_is_no_translation_is_not(string source, string target) => Assert.Null(TranslationPair.Of("de", "key", source, target));

    [Fact]
    public void Messages_that_share_key_source_or_target_are_one_group_in_all_languages()
    {
        TranslationPair[] pairs =
        [
            new("de", "a", "File not found.", "Datei fehlt."),
            new("fr", "a", "File not found.", "Fichier introuvable."),
            new("de", "b", "The file {0} was lost", "DATEI {0} fehlt"),    // the target of a
            new("fr", "b", "The file was lost!", "Fichier perdu"),         // the source of b
            new("de", "c", "Unrelated", "Anderes"),
            new("fr", "d", "Also unrelated", "Datei fehlt."),              // equal, but in another language
        ];
        var groups = new MessageGroups(pairs);
        Assert.Single(pairs[..4].Select(groups.Of).Distinct());
        Assert.Equal(3, pairs.Select(groups.Of).Distinct().Count());
        var reversed = new MessageGroups(pairs.Reverse());
        Assert.Equal(pairs.Select(groups.Of), pairs.Select(reversed.Of));
    }
}
