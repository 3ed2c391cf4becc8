using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization.Metadata;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>Binds records, and closed hierarchies of them.</summary>
internal sealed class RecordBinder(Binder binder)
{
    private readonly EnclosingRecords enclosing = new();

    /// <summary>Every bound record with rules of its own, inner ones first.</summary>
    public List<(IValidated Record, Setting Setting)> Bound { get; } = [];

    /// <summary>Binds a record over its default, or over the defaults of its own properties.</summary>
    public bool TryRecord(Setting setting, BindingTarget target, out object? value)
    {
        value = null;
        var variants = Variants.Of(target.Type);
        var help = variants is null ? "" : $"; write {setting.Child(variants.Discriminator).Path}";
        if (!binder.IsContainer(setting, LayerEntryKind.Object, target, help) || !TryVariant(setting, target, variants, out var type))
            return false;
        if (variants is not null)
            FormerVariantSettings.Drop(setting, variants, target.Default?.GetType(), type);
        var inherits = target.Default?.GetType() == type;
        value = inherits ? RecordShape.Copy(target.Default!) : RecordShape.Create(type);
        // Unknown keys are reported, and do not stop anything else from being bound and checked.
        ReportUnknown(setting, type, variants?.Discriminator);
        var bound = true;
        using (enclosing.Enter())
        {
            foreach (var property in RecordShape.Of(type).Properties)
                bound &= TryProperty(setting.Child(property.Name), property, value, inherits);
        }
        if (bound && value is IValidated validated)
            Bound.Add((validated, setting));
        return bound;
    }

    private bool TryVariant(Setting setting, BindingTarget target, Variants? variants, out Type type)
    {
        type = target.Default?.GetType() ?? target.Type;
        if (variants is null)
            return true;
        var discriminator = setting.Child(variants.Discriminator);
        if (discriminator.Entry is not { } entry)
            return target.Default is not null || binder.Report(discriminator.Path, "missing", null, $"; one of " +
                $"{string.Join(", ", variants.Names)} is required");
        if (entry.Kind is not (LayerEntryKind.Text or LayerEntryKind.Loose))
            return binder.Report(discriminator, $"{entry.Shown} is not allowed", $"; allowed: {string.Join(", ", variants.Names)}");
        type = variants.Find(entry.Text, entry.Kind == LayerEntryKind.Text)!;
        return type is not null
            || binder.Report(discriminator, $"{entry.Shown} is not allowed", ScalarReader.Choices(entry.Text!, variants.Names));
    }

    private void ReportUnknown(Setting setting, Type type, string? discriminator)
    {
        var names = KnownNames.Of(type, discriminator);
        foreach (var child in setting.Children)
        {
            var known = names.Find(child.Name);
            if (known is null)
                binder.Report(child, "unknown key", names.Help(setting, child.Name));
            foreach (var (_, entry) in setting.Stack.At(child.Key).Where(found => known is not null && Misspells(found.Entry, known)))
                binder.Report(setting.Child(entry.Name).Path, "unknown key", entry.Origin, names.Help(setting, entry.Name));
        }
    }

    private static bool Misspells(LayerEntry entry, string name) => entry.ExactName && entry.Name != name;

    private bool TryProperty(Setting setting, JsonPropertyInfo property, object record, bool inherits)
    {
        if (RecordShape.Attributes<InheritsAttribute>(property).Count > 0)
            return TryInherited(setting, property, record);
        var fallback = property.Get!(record);
        var rules = RecordShape.Attributes<ValidationAttribute>(property);
        var target = BindingTarget.Of(property.PropertyType, property.IsSetNullable, fallback, rules);
        if (!setting.Exists)
        {
            if (IsMissing(property, target, rules, inherits))
                return binder.Report(setting.Path, "missing", null, $"; {target.Expected} is required");
            if (fallback is null || RecordShape.IsScalar(target.Type))
                return true;
        }
        var bound = binder.TryBind(setting, target, out var value);
        enclosing.Set(property.Name, value);
        if (bound)
            property.Set!(record, value);
        return bound;
    }

    private bool TryInherited(Setting setting, JsonPropertyInfo property, object record)
    {
        if (!setting.Exists)
            return true;
        var inherited = enclosing.Find(property.Name, property.PropertyType);
        // Without its type there is nothing to bind to, and the error of the outer one has been reported.
        if (inherited is null && property.PropertyType.IsAbstract && enclosing.Failed(property.Name))
            return false;
        var target = BindingTarget.Of(property.PropertyType, property.IsSetNullable, inherited,
            RecordShape.Attributes<ValidationAttribute>(property));
        if (!binder.TryBind(setting, target, out var value))
            return false;
        property.Set!(record, value);
        return true;
    }

    private static bool IsMissing(JsonPropertyInfo property, BindingTarget target, IReadOnlyList<ValidationAttribute> rules,
        bool inherits) =>
        (property.IsRequired && !inherits)
        || (target.Default is null && (!target.Nullable || rules.OfType<RequiredAttribute>().Any()));
}

/// <summary>A closed hierarchy: the records by the value of the <c>Discriminator</c> property, in registration order.</summary>
internal sealed record Variants(string Discriminator, IReadOnlyList<(string Name, Type Type)> ByName)
{
    public IEnumerable<string> Names => ByName.Select(variant => variant.Name);

    public static Variants? Of(Type type) // null when the type stands for itself alone
    {
        var options = RecordShape.Of(type).PolymorphismOptions;
        return options is null
            ? null
            : new Variants(options.TypeDiscriminatorPropertyName, [.. options.DerivedTypes.Select(NameAndType)]);
    }

    public Type? Find(string? name, bool exact) => ByName
        .FirstOrDefault(variant => variant.Name.Equals(name, exact ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase)).Type;

    public string NameOf(Type type) =>
        ByName.FirstOrDefault(variant => variant.Type == type).Name
        ?? throw new InvalidOperationException($"{type} lacks its registration line, [JsonDerivedType(typeof({type.Name}), …)].");

    private static (string, Type) NameAndType(JsonDerivedType derived) =>
        (derived.TypeDiscriminator as string ?? throw new InvalidOperationException($"{derived.DerivedType} needs a name in its " +
            "registration line."),
            derived.DerivedType);
}

/// <summary>Drops what lower layers set for a variant that a higher layer replaces.</summary>
/// <remarks>A layer's setting goes if its variant knew it and the chosen one does not, or has another type for it. What no
/// variant knew remains an unknown key.</remarks>
internal static class FormerVariantSettings
{
    public static void Drop(Setting setting, Variants variants, Type? initially, Type chosen)
    {
        var choices = setting.Stack.At(setting.Child(variants.Discriminator).Key).ToArray();
        foreach (var child in setting.Children.ToArray())
        {
            foreach (var rank in setting.Stack.RanksTouching(child.Key).ToArray())
            {
                if (BelongsToFormer(child.Name, InForce(rank), chosen))
                    setting.Stack.Drop(rank, child.Key);
            }
        }

        Type? InForce(int rank)
        {
            var choice = choices.LastOrDefault(found => found.Rank <= rank).Entry;
            return choice is null ? initially : variants.Find(choice.Text, choice.Kind == LayerEntryKind.Text);
        }
    }

    private static bool BelongsToFormer(string name, Type? former, Type chosen)
    {
        if (former is null || former == chosen || RecordShape.Property(former, name) is not { } known)
            return false;
        JsonPropertyInfo? now = RecordShape.Property(chosen, name);
        return now is null || now.PropertyType != known.PropertyType;
    }
}

/// <summary>The records being bound, outermost first, with their values so far for inner ones to inherit.</summary>
/// <remarks>Values with problems are kept, so that the problems of records that inherit them are found in the same run.</remarks>
internal sealed class EnclosingRecords
{
    private readonly List<Dictionary<string, object?>> records = [];

    public IDisposable Enter()
    {
        records.Add([]);
        return new Scope(records);
    }

    public void Set(string property, object? value) => records[^1][property] = value;

    public object? Find(string property, Type type) =>
        Enumerable.Reverse(records).Skip(1).Select(record => record.GetValueOrDefault(property)).FirstOrDefault(type.IsInstanceOfType);

    public bool Failed(string property) => records.SkipLast(1).Any(record => record.TryGetValue(property, out var value) && value is null);

    private sealed class Scope(List<Dictionary<string, object?>> records) : IDisposable
    {
        public void Dispose() => records.RemoveAt(records.Count - 1);
    }
}
