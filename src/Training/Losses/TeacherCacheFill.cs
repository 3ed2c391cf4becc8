// Shapes: N targets, C model dimension.
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>Computes what a teacher finds of all training rows, file by file: one that was interrupted goes on with the first that is not
/// there. Each rank writes every n-th.</summary>
internal sealed class TeacherCacheFill(
    Recipe recipe, PreparedData data, Device device, Checkpoint teacher, TeacherCacheKey key, string folder, Ranks ranks,
    CancellationToken stop, long bytesPerFile = TeacherCacheFill.BytesPerFile)
{
    // Lost at most when it is interrupted, and held in memory.
    private const long BytesPerFile = 64L << 20;

    // As many neighbours as pairs of similar length have.
    private const int MostRows = 64, Reports = 10;

    private static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    private readonly Dictionary<int, int?> found = [];

    public static string PathOf(string folder, int number) => Path.Combine(folder, $"{number:D5}.top");

    /// <summary>Writes the files that are missing or damaged; the teacher is loaded only where there are some.</summary>
    public void Complete()
    {
        // How many rows there are need not be known where all files are there.
        if (FilesIn(0) is { } files && !Enumerable.Range(0, files).Any(number => IsOwn(number) && FilesIn(number) != files)) return;
        long rowBytes = (long)recipe.Model.ContextLength * key.BytesPerTarget;
        int rows = (int)Math.Clamp(bytesPerFile / rowBytes, 1, MostRows);
        Func<Batch>[][] parts =
        [
            .. BatchStream.Epoch(data, recipe.Data, recipe.Model.ContextLength, rows, recipe.Model.PrefixLength())
                .Chunk((int)Math.Max(1, bytesPerFile / (rows * rowBytes))),
        ];
        int[] missing = [.. Enumerable.Range(0, parts.Length).Where(number => IsOwn(number) && FilesIn(number) != parts.Length)];
        if (missing.Length == 0) return;
        long targets = Math.Min(missing.Sum(number => parts[number].Length * (long)rows * recipe.Model.ContextLength), data.Train.Length);
        Directory.CreateDirectory(folder);
        RemoveAbandoned();
        ranks.Report(
            $"distillation: computing the {key.TopK} likeliest tokens of every target with {teacher.Directory}, {missing.Length} of " +
            $"{parts.Length} files, at most {HumanFormat.Bytes(targets * key.BytesPerTarget)}, in {folder}");
        using LanguageModel model = FrozenModel.Load(teacher, recipe, device); // outside of the scopes below
        foreach ((int done, int number) in missing.Index())
        {
            Fill(model, number, parts);
            if (missing.Length > Reports && (done + 1) * Reports / missing.Length > done * Reports / missing.Length)
                ranks.Report($"distillation: {done + 1} of {missing.Length} files are computed");
        }
    }

    private bool IsOwn(int number) => number % ranks.Group.Size == ranks.Group.Rank;

    // Of how many files it is one; null where it is not there, or damaged.
    private int? FilesIn(int number)
    {
        if (!found.TryGetValue(number, out int? files)) found[number] = files = Look(number);
        return files;
    }

    private int? Look(int number)
    {
        string path = PathOf(folder, number);
        if (!File.Exists(path)) return null;
        try
        {
            using TeacherCacheFile file = TeacherCacheFile.Open(path, key, number);
            return file.Files;
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            if (IsOwn(number)) ranks.Report($"{path} cannot be used ({error.Message.TrimEnd('.')}); what it held is computed again");
            return null;
        }
    }

    // Left by processes that were killed; others may be filling the folder just now.
    private void RemoveAbandoned()
    {
        foreach (string path in Directory.GetFiles(folder, "*.tmp"))
            if (DateTime.UtcNow - File.GetLastWriteTimeUtc(path) > Abandoned) File.Delete(path);
    }

    private void Fill(LanguageModel model, int number, Func<Batch>[][] parts)
    {
        List<TaughtSequence> sequences = [];
        using MemoryStream targets = new();
        foreach (Func<Batch> read in parts[number])
        {
            Batch rows = read();
            int pieces = (rows.Rows + recipe.Training.MicroBatch - 1) / recipe.Training.MicroBatch;
            for (int piece = 0; piece < pieces; piece++)
            {
                stop.ThrowIfCancellationRequested();
                Batch part = rows.Part(piece, pieces);
                sequences.AddRange(TeacherCache.Sequences(part));
                Compute(model, part, targets);
            }
        }
        ReadOnlyMemory<byte> bytes = targets.GetBuffer().AsMemory(0, (int)targets.Length);
        TeacherCacheFile.Write(PathOf(folder, number), key, number, parts.Length, sequences, bytes);
    }

    private void Compute(LanguageModel model, Batch batch, MemoryStream to)
    {
        using IDisposable quiet = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        Tensor places = targets.reshape(-1).ne(Batch.Ignored).nonzero().reshape(-1);
        Tensor hidden = model.Hidden(input).reshape(-1, model.Options.Dim).index_select(0, places); // (B, T, C) → (N, C)
        // A model may have rows of its table beyond the tokenizer's tokens.
        foreach (Tensor part in ChunkedLogits.Map(model, hidden, [], (logits, _) =>
            TopTokens.Of(logits.narrow(1, 0, key.VocabularySize), key.TopK, key.Temperature).Pack(key.VocabularySize)))
            to.Write(part.cpu().contiguous().Span<byte>());
    }
}
