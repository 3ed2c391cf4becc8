// Shapes: N targets.
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Kernels;
using Trainer.Models.Devices;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>What a teacher finds of every target of the training rows, computed once and kept in a folder of the prepared data.</summary>
internal sealed class TeacherCache : IDisposable
{
    private readonly TeacherCacheKey key;
    private readonly IReadOnlyList<TeacherCacheFile> files;
    private readonly long[] starts; // sorted
    private readonly (int File, int Sequence)[] places; // of these

    private TeacherCache(TeacherCacheKey key, string folder, IReadOnlyList<TeacherCacheFile> files)
    {
        (this.key, Folder, this.files) = (key, folder, files);
        starts = [.. files.SelectMany(file => file.Starts)];
        places = [.. files.SelectMany((file, number) => file.Starts.Select((_, sequence) => (number, sequence)))];
        Array.Sort(starts, places);
        for (int i = 1; i < starts.Length; i++)
            if (starts[i] == starts[i - 1])
                throw new UserException($"distillation.cache: two texts of the training data begin at its token {starts[i]}, so that one " +
                    "of them is empty; leave out empty texts, or cache");
    }

    public string Folder { get; }

    public int VocabularySize => key.VocabularySize;

    public int TopK => key.TopK;

    public long Targets => files.Sum(file => file.Targets);

    public long Bytes => files.Sum(file => file.Bytes);

    /// <summary>What the kept probabilities depend on.</summary>
    public static TeacherCacheKey KeyOf(Recipe recipe, PreparedData data, Checkpoint teacher)
    {
        DataOptions options = recipe.Data;
        string rows = string.Join(' ', options.Objective, options.Packing,
            options.HasConversations ? (options.Chat ?? new()).Truncation : "whole",
            options.Train.Count > 1 && options.Train.Any(source => source.Weight is not null) ? "apart" : "joined", // sources
            recipe.Model.PrefixLength());
        string start = options.DecoderStartToken is { } token ? $" behind {token}" : "";
        string end = options is { Packing: DataPacking.Pairs, EndOfDocument: { } last } ? $" up to {last}" : "";
        return new(
            data.Fingerprint, rows.ToLowerInvariant() + start + end, recipe.Model.ContextLength, FrozenModel.IdentityOf(teacher),
            FrozenModel.PrecisionOf(recipe), recipe.Distillation!.Cache!.TopK, data.Tokenizer.VocabularySize,
            recipe.Distillation.Temperature);
    }

    /// <summary>Reads what was computed before, and computes what is missing: each rank its share of the files.</summary>
    /// <exception cref="UserException">The folder cannot be written to.</exception>
    /// <exception cref="OperationCanceledException">A rank was asked to stop; files that are whole are used the next time.</exception>
    public static TeacherCache Open(
        Recipe recipe, PreparedData data, Device device, Checkpoint teacher, Ranks ranks, CancellationToken stop)
    {
        TeacherCacheKey key = KeyOf(recipe, data, teacher);
        string folder = Path.Combine(data.Directory, key.FolderName);
        bool stopped = false;
        try
        {
            new TeacherCacheFill(recipe, data, device, teacher, key, folder, ranks, stop).Complete();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            stopped = true;
        }
        if (ranks.AnyInTheEnd(stopped)) throw new OperationCanceledException(stop);
        return Read(key, folder);
    }

    /// <summary>What the teacher finds of a batch's targets, in their order, as it is kept: (N, bytes) on the device.</summary>
    /// <exception cref="UserException">A file is damaged.</exception>
    public Tensor Read(Batch batch, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor kept = empty([batch.TargetTokens, key.BytesPerTarget], ScalarType.Byte);
        Span<byte> rest = kept.Span<byte>();
        foreach ((long start, int targets) in Sequences(batch))
        {
            int index = Array.BinarySearch(starts, start);
            if (index < 0 || files[places[index].File].TargetsOf(places[index].Sequence) != targets)
                throw new InvalidOperationException($"{Folder} has no {targets} targets of a sequence that starts at token {start}.");
            files[places[index].File].Read(places[index].Sequence, rest[..(targets * key.BytesPerTarget)]);
            rest = rest[(targets * key.BytesPerTarget)..];
        }
        if (!rest.IsEmpty) throw new InvalidOperationException("The batch has targets of which it does not say where they are from.");
        return kept.ToDevice(device).MoveToOuterDisposeScope();
    }

    /// <summary>Rows of what <see cref="Read(Batch, Device)"/> gave.</summary>
    public TopTokens Unpack(Tensor kept) => TopTokens.Unpack(kept, key.TopK, key.VocabularySize);

    /// <summary>The sequences of a batch that have targets, row by row, in the order of their targets.</summary>
    public static IEnumerable<TaughtSequence> Sequences(Batch batch)
    {
        for (int row = 0; row < batch.Rows; row++)
        {
            TokenSpan[] spans = [.. batch.SpansOf(row).Where(span => span.Column is not null).OrderBy(span => span.Column)];
            for (int i = 0; i < spans.Length; i++)
            {
                // What follows the span's tokens is of its text, too: the token that ends it; and what stands before the first one's.
                int from = i == 0 ? 0 : spans[i].Column!.Value, end = i + 1 < spans.Length ? spans[i + 1].Column!.Value : batch.Columns;
                ReadOnlySpan<long> targets = batch.Targets.AsSpan(row * batch.Columns + from, end - from);
                int count = targets.Length - targets.Count(Batch.Ignored);
                if (count > 0) yield return new(spans[i].Start, count);
            }
        }
    }

    public void Dispose()
    {
        foreach (TeacherCacheFile file in files) file.Dispose();
    }

    private static TeacherCache Read(TeacherCacheKey key, string folder)
    {
        List<TeacherCacheFile> files = [];
        try
        {
            do files.Add(TeacherCacheFile.Open(TeacherCacheFill.PathOf(folder, files.Count), key, files.Count));
            while (files.Count < files[0].Files);
            return new(key, folder, files);
        }
        catch (Exception error)
        {
            files.ForEach(file => file.Dispose());
            if (error is not (IOException or InvalidDataException or UnauthorizedAccessException)) throw;
            throw new UserException($"{TeacherCacheFill.PathOf(folder, files.Count)} cannot be read, though it was there: " +
                $"{error.Message.TrimEnd('.')}; all processes have to see the same files", error);
        }
    }
}
