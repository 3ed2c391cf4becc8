using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Patches;
using Trainer.Reporting;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Attention;

/// <summary>Reads the attention weights of a model of patches on a picture, or on the last stretch of a table of time series.</summary>
public static class PatchAttention
{
    /// <summary>The weights of every layer over the patches of a file; of a table, those of its first variable.</summary>
    /// <exception cref="Configuration.UserException">The file is missing, damaged, or of another size or form than the model reads.
    /// </exception>
    public static AttentionMap Read(Checkpoint checkpoint, SequenceModel model, string name, string path)
    {
        PatchOptions? patches = checkpoint.Model.PatchInput();
        (Batch batch, IReadOnlyList<string> labels, AttentionPicture? picture) = (patches, checkpoint.Codec.Preprocessor) switch
        {
            (ImagePatchOptions image, ImagePreprocessor preprocessor) => OfPicture(image, preprocessor, path),
            (SeriesPatchOptions series, SeriesPreprocessor preprocessor) => OfTable(series, preprocessor, path, model.ContextLength),
            _ => throw new ArgumentException("The checkpoint reads tokens.", nameof(checkpoint)),
        };
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, _) = batch.ToTensors(model.Device);
        IReadOnlyList<AttentionWeights> maps = model.AttentionMaps(input);
        AttentionStack stack = new()
        {
            Name = maps.FirstOrDefault()?.Stack ?? "",
            Queries = labels,
            Keys = labels,
            Layers = [.. maps.Select(AttentionReader.Layer)],
        };
        stack.RequireWhole();
        return new(name, [stack]) { Picture = picture, Unit = "patch" };
    }

    private static (Batch, IReadOnlyList<string>, AttentionPicture?) OfPicture(
        ImagePatchOptions image, ImagePreprocessor preprocessor, string path)
    {
        ImageShape shape = (ImageShape)image.ToShape();
        bool hasToken = image.Pooling == PatchPooling.Class;
        int columns = image.Width / image.Patch;
        IEnumerable<string> patches = Enumerable.Range(0, image.Patches()).Select(patch => $"{patch / columns},{patch % columns}");
        PictureFile file = new(path, null);
        return (PictureFile.Read([file], shape, preprocessor), [.. hasToken ? ["class"] : Array.Empty<string>(), .. patches],
            new(image.Height, image.Width, file.Colours(shape, preprocessor), image.Height / image.Patch, columns, hasToken));
    }

    private static (Batch, IReadOnlyList<string>, AttentionPicture?) OfTable(
        SeriesPatchOptions series, SeriesPreprocessor preprocessor, string path, int patches)
    {
        Batch last = SeriesWindows.Read(path, (SeriesShape)series.ToShape(), preprocessor).Last();
        return (last.Part(0, last.Rows), [.. Enumerable.Range(0, patches).Select(
            patch => $"{patch * series.Stride}–{Math.Min(series.Length, patch * series.Stride + series.Patch) - 1}")], null);
    }
}
