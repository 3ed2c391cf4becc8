using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>Turns the texts of a recipe into token shards, once.</summary>
public static class DataPreparation
{
    /// <summary>Prepares the data in a subfolder of <paramref name="directory"/>, atomically, or opens it where no source file changed
    /// (size, time, then content) and nothing is damaged.</summary>
    /// <exception cref="UserException">A file is missing, empty, not UTF-8, cannot be encoded, or changes while it is read.</exception>
    public static PreparedData Prepare(DataOptions data, TokenizerOptions? tokenizer, string directory, IProgress<string>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer); // a recipe of texts has one
        CreateDirectory(directory);
        var plan = PreparationPlan.Open(data, tokenizer, directory, progress);
        var folder = Path.Combine(directory, plan.FolderName);
        return TryOpen(plan, folder, progress) ?? Make(plan, folder, progress);
    }

    private static PreparedData? TryOpen(PreparationPlan plan, string folder, IProgress<string>? progress)
    {
        if (PreparedFolder.TryReadRecord(folder) is not { } record || record.Identity != plan.Identity)
            return null;
        if (!record.Sources.All(stamp => stamp.IsUntouched()))
        {
            var stamps = SourceStamp.OfAll(plan.Files);
            if (plan.Fingerprint(stamps, record.TokenizerHash) != record.Fingerprint)
            {
                progress?.Report($"the texts changed since {folder} was prepared; preparing again");
                return null;
            }
            record = record with { Sources = stamps };
            PreparedFolder.WriteRecord(folder, record);
        }
        try
        {
            return PreparedFolder.Open(folder, record);
        }
        catch (UserException e)
        {
            progress?.Report($"{e.Message}; preparing again");
            return null;
        }
    }

    private static void CreateDirectory(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"the folder of prepared data {Path.GetFullPath(directory)} cannot be made: {e.Message}", e);
        }
    }

    private static PreparedData Make(PreparationPlan plan, string folder, IProgress<string>? progress)
    {
        var preparer = new Preparer(plan, progress);
        AtomicFile.WriteFolder(folder, preparer.Write);
        var prepared = PreparedFolder.Open(folder, PreparedFolder.TryReadRecord(folder)
            ?? throw new UserException($"{folder} was removed while it was prepared; prepare it again"));
        progress?.Report($"prepared {folder}: "
            + $"{prepared.Train.Length:N0} training and {prepared.Validation.Length:N0} validation tokens "
            + $"of {prepared.Tokenizer.VocabularySize} kinds, "
            + $"{prepared.TrainStatistics.BytesPerToken:0.00} bytes a token");
        return prepared;
    }
}

internal sealed record PreparationPlan(
    IReadOnlyList<Corpus> Train, IReadOnlyList<Corpus>? Validation, double ValidationFraction, TokenizerOptions Tokenizer,
    string? EndOfDocument, ConversationPlan? Conversations = null)
{
    /// <summary>Incremented when the same configuration and files would give other tokens.</summary>
    private const int Version = 4;

    public static PreparationPlan Open(DataOptions data, TokenizerOptions tokenizer, string directory, IProgress<string>? progress)
    {
        IReadOnlyList<Corpus> OpenAll(IReadOnlyList<SourceOptions> sources, string at) =>
            [.. sources.Select((source, index) => Corpus.Open(source, $"{at}.{index}", directory, progress, data.IsPaired))];
        return new PreparationPlan(
            OpenAll(data.Train, "data.train"),
            data.Validation is null ? null : OpenAll(data.Validation, "data.validation"),
            data.ValidationFraction,
            ConversationPlan.Tokenizer(data, tokenizer),
            // For pairs, rows add the end tokens; for conversations, the template does.
            data.IsPaired || data.HasOnlyConversations || data.HasPreferences ? EndOfText.None : data.EndOfDocument,
            ConversationPlan.Of(data));
    }

    public IReadOnlyList<string> Files => [.. Train.Concat(Validation ?? []).SelectMany(corpus => corpus.Files), .. Tokenizer.Files];

    /// <summary>The configuration as one line of JSON, without file contents. Each identity has its own folder.</summary>
    public string Identity => TextIdentity + (Conversations is null ? "" : $" {Conversations.Identity}");

    private string TextIdentity => JsonSerializer.Serialize(new
    {
        version = Version,
        train = Train.Select(corpus => new { corpus.Reading, corpus.Files }),
        validation = Validation?.Select(corpus => new { corpus.Reading, corpus.Files }),
        validationFraction = Validation is null ? ValidationFraction : (double?)null,
        tokenizer = Tokenizer,
        endOfDocument = EndOfDocument,
    });

    public string FolderName
    {
        get
        {
            var name = new string([.. Train[0].Name.Take(40).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-')]);
            return $"{name}-{Sha256(Identity)[..12]}";
        }
    }

    public string Fingerprint(IEnumerable<SourceStamp> stamps, string tokenizerHash) =>
        Sha256(string.Join('\n', stamps.Select(stamp => stamp.Sha256)
            .Prepend(string.Join(' ', Train.Select(corpus => $"{corpus.Files.Count} {corpus.Reading}")))
            .Prepend(string.Join(' ', (Validation ?? []).Select(corpus => $"{corpus.Files.Count} {corpus.Reading}")))
            .Prepend(Validation is null ? $"fraction {ValidationFraction:R}" : "separate")
            .Prepend(JsonSerializer.Serialize(Tokenizer))
            .Prepend($"end {EndOfDocument}{Conversations?.Identity}")
            .Prepend(tokenizerHash)
            .Prepend($"version {Version}")));

    private static string Sha256(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

/// <summary>One pass trains the tokenizer and counts, one encodes on up to <paramref name="threads"/> threads (0 = one per core), whose
/// number does not change the result.</summary>
internal sealed class Preparer(PreparationPlan plan, IProgress<string>? progress, int threads = 0)
{
    public void Write(string folder)
    {
        progress?.Report(plan.Files.Count == 0
            ? $"making {string.Join(", ", plan.Train.Select(corpus => corpus.Name).Distinct())}"
            : $"reading {plan.Files.Count:N0} {(plan.Files.Count == 1 ? "file" : "files")}, {plan.Files.Sum(SizeOf) / 1e6:N1} MB");
        var stamping = Task.Run(() => SourceStamp.OfAll(plan.Files));   // hashes in parallel with the first read
        var (tokenizer, text) = TokenizerTraining.Learn(plan.Train, plan.Tokenizer, progress);
        var stamps = stamping.GetAwaiter().GetResult();
        var kept = plan.Validation is null ? Kept(text.Characters) : text.Characters;
        tokenizer.Save(PreparedFolder.Tokenizer(folder));
        var tokenizerHash = PreparedFolder.HashOfTokenizer(folder);
        var fingerprint = plan.Fingerprint(stamps, tokenizerHash);
        progress?.Report($"encoding {text.Characters:N0} characters into {tokenizer.VocabularySize:N0} kinds of tokens");
        var end = EndOfText.Of(tokenizer, plan.EndOfDocument);
        var marks = plan.Conversations is not null;
        using var train = new SplitWriter(PreparedFolder.Train(folder), tokenizer.VocabularySize, end, marks);
        using var validation = new SplitWriter(PreparedFolder.Validation(folder), tokenizer.VocabularySize, end, marks);
        var sources = Encode(plan.Train, tokenizer, train, kept, validation,
            new ThroughputProgress(progress, "encoding data.train", text.Bytes));
        Encode(plan.Validation ?? [], tokenizer, validation, long.MaxValue, validation,
            new ThroughputProgress(progress, "encoding data.validation"));
        if (stamps.FirstOrDefault(stamp => !stamp.IsUntouched()) is { } changed)
            throw new UserException($"{changed.Path} changed while it was read; run the command again");
        train.Finish(fingerprint);
        validation.Finish(fingerprint);
        PreparedFolder.WriteRecord(folder,
            new PreparedRecord(fingerprint, plan.Identity, tokenizerHash, stamps, sources, train.Statistics, validation.Statistics));
    }

    /// <summary>How many characters training keeps: ⌊(1 − fraction) · characters⌋, in double precision as in nanoGPT.</summary>
    private long Kept(long characters)
    {
        var kept = (long)((1 - plan.ValidationFraction) * characters);
        if (kept < 1 || kept >= characters)
            throw new UserException(
                $"data.validationFraction ({plan.ValidationFraction}) of {characters} characters "
                + $"leaves {(kept < 1 ? "nothing to train on" : "nothing to validate on")}; "
                + "choose another fraction, or name validation texts in data.validation");
        return kept;
    }

    private static long SizeOf(string path) => FileTarget.Of(path) is { Exists: true } file ? file.Length : 0;

    /// <summary>Encodes texts into one split and, past a number of characters, another; returns each text's tokens in the first.</summary>
    private List<TokenRange> Encode(IReadOnlyList<Corpus> corpora, Tokenizer tokenizer, SplitWriter first, long firstCharacters,
        SplitWriter rest, ThroughputProgress throughput)
    {
        var ranges = new List<TokenRange>();
        var encoder = plan.Conversations?.Encoder(tokenizer);
        foreach (var corpus in corpora)
        {
            var before = first.Statistics;
            var kept = Math.Max(0, firstCharacters - before.Characters);
            void Wrote() => throughput.Report(first.Statistics.Bytes + (rest == first ? 0 : rest.Statistics.Bytes));
            if (encoder is not null && corpus is ConversationCorpus talks)
                new ConversationPreparation(encoder, threads).Encode(talks.Records(), first, kept, rest, Wrote);
            else
                new ParallelEncoder(tokenizer, threads) { KeepsPairs = corpus.IsPaired }.Encode(corpus.Read(), first, kept, rest, Wrote);
            ranges.Add(new TokenRange(corpus.Name, before.Tokens, first.Statistics.Tokens - before.Tokens));
        }
        return ranges;
    }
}
