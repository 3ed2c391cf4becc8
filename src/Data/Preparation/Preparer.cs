using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Makes one folder of prepared data: one pass to learn the tokenizer and to count, one to encode.</summary>
/// <param name="plan">What to prepare.</param>
/// <param name="progress">Told what is done, and in long work how far it is.</param>
/// <param name="threads">The most threads that encode; 0 = as many as there are cores. The result does not depend on it.</param>
internal sealed class Preparer(PreparationPlan plan, IProgress<string>? progress, int threads = 0)
{
    /// <summary>Fills an empty folder.</summary>
    /// <exception cref="UserException">A source cannot be read or encoded, or leaves a split without text.</exception>
    public void Write(string folder)
    {
        progress?.Report(plan.Files.Count == 0
            ? $"making {string.Join(", ", plan.Train.Select(corpus => corpus.Name).Distinct())}"
            : $"reading {plan.Files.Count:N0} {(plan.Files.Count == 1 ? "file" : "files")}, {plan.Files.Sum(SizeOf) / 1e6:N1} MB");
        var stamping = Task.Run(() => SourceStamp.OfAll(plan.Files));   // hashing is a read of its own, beside the first
        var (tokenizer, text) = TokenizerTraining.Learn(plan.Train, plan.Tokenizer, progress);
        var stamps = stamping.GetAwaiter().GetResult();
        var kept = plan.Validation is null ? Kept(text.Characters) : text.Characters;
        tokenizer.Save(PreparedFolder.Tokenizer(folder));
        var tokenizerHash = PreparedFolder.HashOfTokenizer(folder);
        var fingerprint = plan.Fingerprint(stamps, tokenizerHash);
        progress?.Report($"encoding {text.Characters:N0} characters into {tokenizer.VocabularySize:N0} kinds of tokens");
        var end = EndOfText.Of(tokenizer, plan.EndOfDocument);
        using var train = new SplitWriter(PreparedFolder.Train(folder), tokenizer.VocabularySize, end);
        using var validation = new SplitWriter(PreparedFolder.Validation(folder), tokenizer.VocabularySize, end);
        var sources = Encode(plan.Train, tokenizer, train, kept, validation, new Pulse(progress, "encoding data.train", text.Bytes));
        Encode(plan.Validation ?? [], tokenizer, validation, long.MaxValue, validation, new Pulse(progress, "encoding data.validation"));
        if (stamps.FirstOrDefault(stamp => !stamp.IsUntouched()) is { } changed)
            throw new UserException($"{changed.Path} changed while it was read; run the command again");
        train.Finish(fingerprint);
        validation.Finish(fingerprint);
        PreparedFolder.WriteRecord(folder, new PreparedRecord(fingerprint, plan.Identity, tokenizerHash, stamps, sources, train.Statistics, validation.Statistics));
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

    private static long SizeOf(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : 0;

    /// <summary>Encodes texts into one split and, from a number of characters on, into another.</summary>
    /// <returns>What each of them has in the first.</returns>
    private List<TokenRange> Encode(IReadOnlyList<Corpus> corpora, Tokenizer tokenizer, SplitWriter first, long firstCharacters, SplitWriter rest, Pulse pulse)
    {
        var ranges = new List<TokenRange>();
        foreach (var corpus in corpora)
        {
            var before = first.Statistics;
            new ParallelEncoder(tokenizer, threads) { KeepsPairs = corpus.IsPaired }.Encode(
                corpus.Read(), first, Math.Max(0, firstCharacters - before.Characters), rest,
                () => pulse.Beat(first.Statistics.Bytes + (rest == first ? 0 : rest.Statistics.Bytes)));
            ranges.Add(new TokenRange(corpus.Name, before.Tokens, first.Statistics.Tokens - before.Tokens));
        }
        return ranges;
    }
}
