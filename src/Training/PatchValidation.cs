using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models.Patches;

namespace Trainer.Training;

/// <summary>Rules between the parts of a recipe whose model reads patches of numbers.</summary>
internal static class PatchValidation
{
    public static IEnumerable<Problem> Check(Recipe recipe)
    {
        PatchOptions? patches = recipe.Model.PatchInput();
        if (Mismatch(patches, recipe.Data.Kind) is { } mismatch) yield return mismatch;
        if (patches is null) yield break;
        string what = patches is ImagePatchOptions ? "pictures" : "time series";
        if (recipe.Tokenizer is not null) yield return new("tokenizer", $"is for texts, and model.input reads {what}; remove it");
        if (recipe.Distillation is not null)
            yield return new("distillation", $"learns a teacher's probabilities of tokens, and model.input reads {what}; remove it");
        if (recipe.Preference is not null)
            yield return new("preference", $"learns from answers in text, and model.input reads {what}; remove it");
        if (recipe.Adapter is not null)
            yield return new("adapter", $"adapts language models, and model.input reads {what}; remove it, and train all weights");
        if (recipe.Initialize?.Convert is not null)
            yield return new("initialize.convert", $"converts language models, and model.input reads {what}; remove it");
        if (recipe.Monitoring.Samples.Count > 0)
            yield return new("monitoring.samples", $"are texts to continue, and model.input reads {what}; remove them");
        if (recipe.Training.LabelSmoothing > 0 && patches is SeriesPatchOptions)
            yield return new("training.labelSmoothing", $"labelSmoothing ({recipe.Training.LabelSmoothing}) is for classes, and this " +
                "model forecasts values; remove it");
    }

    private static Problem? Mismatch(PatchOptions? patches, DataKind kind) => (patches, kind) switch
    {
        (null, DataKind.Text) or (ImagePatchOptions, DataKind.Images) or (SeriesPatchOptions, DataKind.Series) => null,
        (null, DataKind.Images) => new("model.input", "is missing, and data.train.0 holds pictures; describe them, such as {\"type\": " +
            "\"image-patches\", \"height\": 28, \"width\": 28, \"channels\": 1, \"patch\": 7}, in an encoder or decoder"),
        (null, _) => new("model.input", "is missing, and data.train.0 holds time series; describe them, such as {\"type\": " +
            "\"series-patches\", \"length\": 336, \"patch\": 16, \"stride\": 8, \"horizon\": 96}, in an encoder or decoder"),
        (ImagePatchOptions, _) => new("data.train.0.format", "holds no pictures, and model.input reads such; set format to \"images\", " +
            "or leave model.input out"),
        _ => new("data.train.0.format", "holds no time series, and model.input reads such; set format to \"series\", " +
            "or leave model.input out"),
    };
}
