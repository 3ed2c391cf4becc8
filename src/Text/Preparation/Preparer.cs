using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>Makes one folder of prepared data: one pass to learn the tokenizer and to count, one to encode.</summary>
internal sealed class Preparer(PreparationPlan plan, IProgress<string>? progress)
{
    /// <summary>Fills an empty folder.</summary>
    /// <exception cref="UserException">A source cannot be read or encoded, or leaves a split without text.</exception>
    public void Write(string folder)
    {
        SourceStamp[] stamps = [.. plan.Files.Select(SourceStamp.Of)];
        progress?.Report($"reading {stamps.Length} {(stamps.Length == 1 ? "file" : "files")}, {stamps.Sum(stamp => stamp.Bytes) / 1e6:0.0} MB");
        var (tokenizer, characters) = Learn();
        var kept = plan.Validation is null ? Kept(characters) : characters;
        var fingerprint = plan.Fingerprint(stamps);
        progress?.Report($"encoding {characters:N0} characters into {tokenizer.VocabularySize} kinds of tokens");
        var total = stamps.Sum(stamp => stamp.Bytes);
        using var train = new SplitWriter(PreparedFolder.Train(folder), tokenizer);
        using var validation = new SplitWriter(PreparedFolder.Validation(folder), tokenizer);
        var pulse = new Pulse(progress, () => $"encoded {100.0 * (train.Statistics.Bytes + validation.Statistics.Bytes) / total:0} %");
        Encode(plan.Train, train, kept, validation, pulse);
        Encode(plan.Validation ?? [], validation, long.MaxValue, validation, pulse);
        if (stamps.FirstOrDefault(stamp => !stamp.IsUntouched()) is { } changed)
            throw new UserException($"{changed.Path} changed while it was read; run the command again");
        train.Finish(fingerprint);
        validation.Finish(fingerprint);
        tokenizer.Save(PreparedFolder.Tokenizer(folder));
        PreparedFolder.WriteRecord(folder, new PreparedRecord(fingerprint, plan.Identity, stamps, train.Statistics, validation.Statistics));
    }

    /// <summary>Shows all training text, the part that is held out included, to the tokenizer's trainer, as nanoGPT does.</summary>
    private (Tokenizer Tokenizer, long Characters) Learn()
    {
        var trainer = plan.Tokenizer.CreateTrainer();
        var characters = 0L;
        var pulse = new Pulse(progress, () => $"read {characters:N0} characters");
        foreach (var piece in plan.Train.SelectMany(corpus => corpus.Read()))
        {
            trainer.Observe(piece.Text.Span);
            characters += CodePoints.Count(piece.Text.Span);
            pulse.Beat();
        }
        if (characters == 0)
            throw new UserException($"data.train has no text: {string.Join(", ", plan.Files)}; name a file with text");
        return (trainer.Build(), characters);
    }

    /// <summary>How many characters training keeps: ⌊(1 − fraction) · characters⌋, in double precision as nanoGPT computes it.</summary>
    private long Kept(long characters)
    {
        var kept = (long)((1 - plan.ValidationFraction) * characters);
        if (kept < 1 || kept >= characters)
            throw new UserException(
                $"data.validationFraction ({plan.ValidationFraction}) of {characters} characters leaves {(kept < 1 ? "nothing to train on" : "nothing to validate on")}; "
                + "choose another fraction, or name validation texts in data.validation");
        return kept;
    }

    /// <summary>Encodes texts into one split and, from a number of characters on, into another.</summary>
    private static void Encode(IReadOnlyList<Corpus> corpora, SplitWriter first, long firstCharacters, SplitWriter rest, Pulse pulse)
    {
        foreach (var piece in corpora.SelectMany(corpus => corpus.Read()))
        {
            var units = CodePoints.Units(piece.Text.Span, firstCharacters);
            firstCharacters -= CodePoints.Count(piece.Text.Span[..units]);
            first.Append(piece, 0, units);
            rest.Append(piece, units, piece.Text.Length - units);
            pulse.Beat();
        }
    }
}
