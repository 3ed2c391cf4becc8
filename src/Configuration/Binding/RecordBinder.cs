using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization.Metadata;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>Binds records, and closed hierarchies of them.</summary>
internal sealed class RecordBinder(Binder binder)
{
    private readonly Enclosing enclosing = new();

    /// <summary>Every record that bound and has rules across its own fields, inner ones first.</summary>
    public List<(IValidated Record, Setting Setting)> Bound { get; } = [];

    /// <summary>Binds a record over its default, or over the defaults of its own properties.</summary>
    public bool TryRecord(Setting setting, Target target, out object? value)
    {
        value = null;
        var variants = Variants.Of(target.Type);
        var help = variants is null ? "" : $"; write {setting.Child(variants.Discriminator).Path}";
        if (!binder.IsContainer(setting, EntryKind.Object, target, help) || !TryVariant(setting, target, variants, out var type))
            return false;
        if (variants is not null)
            Leftovers.Drop(setting, variants, target.Default?.GetType(), type);
        var inherits = target.Default?.GetType() == type;
        value = inherits ? Shape.Copy(target.Default!) : Shape.Create(type);
        // Unknown keys are told, and keep nothing else from being bound and checked.
        TellUnknown(setting, type, variants?.Discriminator);
        var bound = true;
        using (enclosing.Enter())
        {
            foreach (var property in Shape.Of(type).Properties)
                bound &= TryProperty(setting.Child(property.Name), property, value, inherits);
        }
        if (bound && value is IValidated validated)
            Bound.Add((validated, setting));
        return bound;
    }

    private bool TryVariant(Setting setting, Target target, Variants? variants, out Type type)
    {
        type = target.Default?.GetType() ?? target.Type;
        if (variants is null)
            return true;
        var discriminator = setting.Child(variants.Discriminator);
        if (discriminator.Entry is not { } entry)
            return target.Default is not null || binder.Report(discriminator.Path, "missing", null, $"; one of {string.Join(", ", variants.Names)} is required");
        if (entry.Kind is not (EntryKind.Text or EntryKind.Loose))
            return binder.Report(discriminator, $"{entry.Shown} is not allowed", $"; allowed: {string.Join(", ", variants.Names)}");
        type = variants.Find(entry.Text, entry.Kind == EntryKind.Text)!;
        return type is not null || binder.Report(discriminator, $"{entry.Shown} is not allowed", Scalars.Choices(entry.Text!, variants.Names));
    }

    private void TellUnknown(Setting setting, Type type, string? discriminator)
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

    private static bool Misspells(Entry entry, string name) => entry.ExactName && entry.Name != name;

    private bool TryProperty(Setting setting, JsonPropertyInfo property, object record, bool inherits)
    {
        if (Shape.Attributes<InheritsAttribute>(property).Count > 0)
            return TryInherited(setting, property, record);
        var fallback = property.Get!(record);
        var rules = Shape.Attributes<ValidationAttribute>(property);
        var target = Target.Of(property.PropertyType, property.IsSetNullable, fallback, rules);
        if (!setting.Exists)
        {
            if (IsMissing(property, target, rules, inherits))
                return binder.Report(setting.Path, "missing", null, $"; {target.Expected} is required");
            if (fallback is null || Shape.IsScalar(target.Type))
                return true;
        }
        var bound = binder.TryBind(setting, target, out var value);
        enclosing.Remember(property.Name, value);
        if (bound)
            property.Set!(record, value);
        return bound;
    }

    private bool TryInherited(Setting setting, JsonPropertyInfo property, object record)
    {
        if (!setting.Exists)
            return true;
        var inherited = enclosing.Find(property.Name, property.PropertyType);
        // Without its kind there is nothing to bind to; that the outer one is wrong has been said.
        if (inherited is null && property.PropertyType.IsAbstract && enclosing.Failed(property.Name))
            return false;
        var target = Target.Of(property.PropertyType, property.IsSetNullable, inherited, Shape.Attributes<ValidationAttribute>(property));
        if (!binder.TryBind(setting, target, out var value))
            return false;
        property.Set!(record, value);
        return true;
    }

    private static bool IsMissing(JsonPropertyInfo property, Target target, IReadOnlyList<ValidationAttribute> rules, bool inherits) =>
        (property.IsRequired && !inherits)
        || (target.Default is null && (!target.Nullable || rules.OfType<RequiredAttribute>().Any()));
}
